// SPDX-License-Identifier: Apache-2.0
// ledger_queue.h: requests that wait for room, and which of them is next.
//
// The rule (first come, first reserved):
//   1. The oldest request starts as soon as it has room.
//   2. While it has none, the device that is least short of what it asks for is reserved for it (of several whole ones as
//      many): nothing else is placed there. Its cores and its memory of the host are set aside likewise. Which device is
//      looked at anew whenever something was given back, and changes only to one that is less short.
//   3. Every other request, in their order, starts where it has room outside of what is kept (backfill).
// Why: how long a trial takes is not known, so a smaller request on the reserved device might delay the oldest without
// bound, and is never worth that risk; elsewhere it cannot. What is missing on the reserved devices only shrinks, so the
// oldest starts at the latest when what runs there now has ended, whatever else arrives, and every request becomes the
// oldest in time. Keeping to the device first chosen would wait for a long trial on it while others come free: 0.81
// instead of 0.94 of the GPUs in use with the durations of successive halving. `hpt-bench sched` measures the rule.
#ifndef HPT_DEVICES_LEDGER_QUEUE_H
#define HPT_DEVICES_LEDGER_QUEUE_H

#include "ledger.h"

enum { HPT__KINDS = 64 };

typedef struct hpt__waiting {
    hpt__demand demand;
    int64_t id;   // the caller's
    int64_t kind; // index into the queue's kinds; HPT__KINDS: a kind of its own
} hpt__waiting;

typedef struct hpt__queue { // zeros: empty
    hpt__waiting *items;    // n of them, oldest first
    int64_t n, cap;
    int64_t tried;  // the first so many had no room, with nothing given back since
    uint64_t given; // the ledger's count then
    int32_t reserved[HPT__GPUS_PER_TRIAL];
    int64_t n_reserved;            // of the oldest
    bool keeps;                    // something is kept for it
    int64_t n_of_kind[HPT__KINDS]; // how many equal requests wait, to try only one of them
    hpt__demand kinds[HPT__KINDS];
} hpt__queue;

void hpt__queue_fini(hpt__queue *queue); // the ledger may be gone already

// The request must pass hpt__ledger_check: one that can never start would keep its reservation for ever.
HPT_NODISCARD int hpt__queue_push(hpt__queue *queue, const hpt__demand *demand, int64_t id);
// Takes one request that can start off the queue, its share from the ledger. False: none can now.
bool hpt__queue_next(hpt__grant *grant, int64_t *id, hpt__queue *queue, hpt__ledger *ledger);
// Takes a request off unstarted; false: it does not wait.
bool hpt__queue_remove(hpt__queue *queue, hpt__ledger *ledger, int64_t id);

#endif
