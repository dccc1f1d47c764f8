// SPDX-License-Identifier: Apache-2.0
// file.h: small files whole: what the kernel tells in /proc and /sys is read, files of our own are read and replaced.
#ifndef HPT_BASE_FILE_H
#define HPT_BASE_FILE_H

#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// A whole file; out is empty and the result HPT_E_NOT_FOUND if there is none.
HPT_NODISCARD int hpt__read_file(hpt__str *out, const char *path);
// Its beginning: at most size - 1 bytes and a NUL. *n (NULL: not wanted): how many. False, and no error recorded: it cannot be
// opened.
bool hpt__read_start(char *out, size_t size, size_t *n, const char *path);

// Puts n bytes in a file's place in one step: whoever reads it meanwhile has the old text or the new one, and a failure leaves
// the old. mode: of a new file, less the umask. Nothing waits for the disk: after a loss of power it may be empty. HPT_E_IO.
HPT_NODISCARD int hpt__replace_file(const char *path, mode_t mode, const char *text, size_t n);

// Makes a folder of this user alone (mode 0700), unless it is there. False, and no error recorded but errno: it cannot be made;
// EPERM: it is another's, or others may write there.
bool hpt__private_folder(const char *path);

#endif
