/* The activity board, as activity_board.py describes it: which of the writers on this machine are at work. */

#ifndef SOFTCOPY_ACTIVITY_BOARD_H
#define SOFTCOPY_ACTIVITY_BOARD_H

#include <stdint.h>
#include <time.h>

#define BOARD_SLOTS 64
#define BOARD_WORDS 8 /* of 64 bits, in a slot; the first slot is the head, which says how many slots are in use */
enum { SLOT_OWNER, SLOT_BUSY_UNTIL, SLOT_FIRM_UNTIL };

/* The clock of Python's time.monotonic(), in ns. */
static inline int64_t board_now(void) {
#ifdef __APPLE__
    return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
#endif
}

/* Whether a writer is at work, so that no file and no block should be begun. There may be no board. */
static inline int board_is_busy(const int64_t *board) {
    if (!board) return 0;
    int64_t now = board_now(), slots = __atomic_load_n(board, __ATOMIC_RELAXED);
    for (int64_t slot = 1; slot <= slots && slot < BOARD_SLOTS; slot++) {
        int64_t until = __atomic_load_n(board + slot * BOARD_WORDS + SLOT_BUSY_UNTIL, __ATOMIC_RELAXED);
        if (now < until && until < now + 2000000000) return 1; /* later ones are of before the system's start */
    }
    return 0;
}

#endif
