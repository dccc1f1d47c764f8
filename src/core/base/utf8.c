// SPDX-License-Identifier: Apache-2.0
// utf8.c: UTF-8 after RFC 3629, section 4, and the part of the Unicode character database that Python's
// repr() needs.
//
// Printable: Python escapes the categories Cc, Cf, Cs, Co, Cn and every separator but the blank. The table
// holds all of these but Cn (unassigned): that set changes with each Unicode version, hence with each Python,
// and such characters do not occur in parameters. Ranges from UnicodeData.txt 15.0.
// Threads: pure functions. Cost: a few compares; the table is searched linearly (rare path: repr of non-ASCII).
#include "utf8.h"

size_t hpt__utf8_decode(uint32_t *out, const char *text, size_t n) {
    if (n == 0) return 0;
    uint32_t c = (unsigned char)text[0];
    size_t len;
    uint32_t low; // smallest code that needs this many bytes
    if (c < 0x80) {
        *out = c;
        return 1;
    } else if (c >= 0xC2 && c <= 0xDF) {
        len = 2, low = 0x80, c &= 0x1F;
    } else if (c >= 0xE0 && c <= 0xEF) {
        len = 3, low = 0x800, c &= 0x0F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        len = 4, low = 0x10000, c &= 0x07;
    } else {
        return 0;
    }
    if (n < len) return 0;
    for (size_t i = 1; i < len; i++) {
        uint32_t next = (unsigned char)text[i];
        if ((next & 0xC0) != 0x80) return 0;
        c = c << 6 | (next & 0x3F);
    }
    if (c < low || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return 0;
    *out = c;
    return len;
}

size_t hpt__utf8_encode(char out[4], uint32_t code) {
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = 0xFFFD;
    unsigned char b[4];
    size_t len;
    if (code < 0x80) {
        len = 1;
        b[0] = (unsigned char)code;
    } else if (code < 0x800) {
        len = 2;
        b[0] = (unsigned char)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        len = 3;
        b[0] = (unsigned char)(0xE0 | code >> 12);
    } else {
        len = 4;
        b[0] = (unsigned char)(0xF0 | code >> 18);
    }
    for (size_t i = 1; i < len; i++) b[i] = (unsigned char)(0x80 | (code >> 6 * (len - 1 - i) & 0x3F));
    for (size_t i = 0; i < len; i++) out[i] = (char)b[i];
    return len;
}

bool hpt__utf8_printable(uint32_t code) {
    static const uint32_t hidden[][2] = {
        {0x00, 0x1F},        {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
        {0x6DD, 0x6DD},      {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x1680, 0x1680},
        {0x180E, 0x180E},    {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},
        {0xD800, 0xF8FF},    {0xFDD0, 0xFDEF},   {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0x110BD, 0x110BD},
        {0x110CD, 0x110CD},  {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0x40000, 0xE00FF},
        {0xE01F0, 0x10FFFF},
    };
    if ((code & 0xFFFE) == 0xFFFE) return false; // the last two of every plane are no characters
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (code >= hidden[i][0] && code <= hidden[i][1]) return false;
    }
    return true;
}
