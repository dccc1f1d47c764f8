// SPDX-License-Identifier: Apache-2.0
// mps_parts.h: static SM partitions of an MPS controller: what its control program says of them, and which run has which.
//
// A controller that was started with -S gives multiprocessors in chunks; each client names the partition that it runs in.
//
//   LOG/parts-XXXXXX       locked (flock) by a run while it uses partitions of the controller
//   LOG/parts-XXXXXX.ids   its partitions, an id each line; "?" while one is being made; "!": it looks for one that no record names
//
// Threads: any, one at a time per struct.
#ifndef HPT_MPS_MPS_PARTS_H
#define HPT_MPS_MPS_PARTS_H

#include "../base/str.h"
#include <hpt/export.h>
#include <hpt/status.h>
#include <stdbool.h>
#include <stdint.h>

enum { HPT__MPS_PART = 96, HPT__MPS_PARTED_SINCE = 13010 };

typedef enum hpt__parting { // option run.sm_partitions
    HPT__PARTING_OFF,
    HPT__PARTING_AUTO, // where rounding shares down to chunks costs little
    HPT__PARTING_ON,
} hpt__parting;

typedef struct hpt__mps_table { // what lspart tells of the controller's GPU
    int64_t free, used;         // chunks
    int64_t sms;                // multiprocessors of the GPU
} hpt__mps_table;

// The number after "Binary version:"; 0: there is none.
int64_t hpt__mps_version_read(const char *text);
bool hpt__mps_table_read(hpt__mps_table *out, const char *text); // false: text is no answer to lspart
// The next partition of the table, from *at on; false: there is no more.
bool hpt__mps_table_next(char id[HPT__MPS_PART], bool *has_clients, const char **at);
bool hpt__mps_table_has(const char *text, const char *id);
// The id of a new partition of the GPU in an answer to sm_partition add; false: none was made.
bool hpt__mps_part_read(char id[HPT__MPS_PART], const char *text, const char *uuid);

// Chunks of a share in millionths: rounded down, at least one.
int64_t hpt__mps_chunks(int64_t units, int64_t chunks);
// Whether rounding leaves a share at least four fifths of its multiprocessors; else, or if it is less than a chunk, why says so.
bool hpt__mps_share_is_kept(char *why, size_t size, const hpt__mps_table *table, int64_t units);

typedef struct hpt__mps_record { // of this run at one controller; fd -1: none
    int fd;
    char path[80];
} hpt__mps_record;

// False: it cannot be made, and what this run leaves if it is killed is found by nobody.
bool hpt__mps_record_open(hpt__mps_record *r, const char *log);
// Replaces what it says, at once for all readers: `ids` as the file has them.
bool hpt__mps_record_write(const hpt__mps_record *r, const hpt__str *ids);
// Appends what dead runs have recorded to ids, writes that, and removes their records.
void hpt__mps_record_adopt(const hpt__mps_record *r, const char *log, hpt__str *ids);
// What is in all records but one; but NULL: in all.
void hpt__mps_record_all(hpt__str *out, const char *log, const hpt__mps_record *but);
bool hpt__mps_record_names(const char *ids, const char *id);
// Without ids it is removed; with some it stays, as a dead run's.
void hpt__mps_record_close(hpt__mps_record *r, bool empty);

#endif
