/* Takes the events of a source off the kernel, and says on the activity board when its writer is at work.

   burst_meter.py is the same in Python, with the reasons: change both or none, and run test_burst_meter.py. Called by
   source_events.py from the watcher's thread, which holds no lock of Python's meanwhile: while the writer is at work
   nobody else runs. Linux alone. */

#ifdef __linux__
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../activity_board.h"

#define MS 1000000LL
#define MAX_OPEN 128
#define MAX_HOLDS 256
#define GAPS 5 /* 1, 2, 4, 8 and 16 ms */

/* As in source_events.py and burst_meter.py. */
struct source_events {
    int64_t *slot;
    int64_t gather;      /* at most so long are events kept back, ns */
    int64_t unqueued;    /* 1 while there may be some that are neither with the kernel nor queued */
    int64_t due;         /* whether those that were returned so far are to be queued now */
    int64_t holds_ended; /* how many `holds` were ever written */
    int64_t holds[MAX_HOLDS];
    int64_t open_count;
    struct {
        uint64_t key;
        int64_t since, writes;
    } open[MAX_OPEN];
    /* What follows, 32 words, only this file knows. */
    int64_t last_event, burst_began, busy_until, gap, burst_limit, longest, returned, moved_cookie;
    int64_t kept_since;  /* since when events are kept back; 0 where none are */
    int64_t new_folders; /* how many were made since the last return */
    uint64_t moved_key;
    double pause, usable[GAPS];
    int64_t rest[32 - 12 - GAPS];
};

static const int64_t SETTLE = 1 * MS, CAP = 500 * MS, LONGEST_GAP = 3000 * MS, LONGEST_BURST = 2000 * MS;
static const int64_t LEAST_BURST_LIMIT = 100 * MS, FIRST_BURST_LIMIT = 300 * MS, BETWEEN_RETURNS = 8 * MS;
static const int64_t STEADY_GATHER = 20 * MS, FIRST_GAP = 8 * MS, LEAST_PAUSE = 2 * MS;
static const int MANY_WRITES = 8;
static const double USABLE = 0.6, MEMORY = 1.0 - 1.0 / 256;

static uint64_t key_of(const struct inotify_event *event) {
    uint64_t key = 14695981039346656037ULL ^ (uint32_t)event->wd;
    for (const char *c = event->name; event->len && *c; c++) key = (key ^ (unsigned char)*c) * 1099511628211ULL;
    return key;
}

static int find_open(const struct source_events *s, uint64_t key) {
    for (int at = (int)s->open_count - 1; at >= 0; at--)
        if (s->open[at].key == key) return at;
    return -1;
}

static void remove_open(struct source_events *s, int at) {
    s->open_count--;
    memmove(&s->open[at], &s->open[at + 1], (s->open_count - at) * sizeof s->open[0]);
}

static void note_created(struct source_events *s, uint64_t key, int64_t now) {
    int at = find_open(s, key);
    if (at >= 0) remove_open(s, at);
    if (s->open_count == MAX_OPEN) remove_open(s, 0);
    s->open[s->open_count].key = key;
    s->open[s->open_count].since = now;
    s->open[s->open_count++].writes = 0;
}

static void note_closed(struct source_events *s, uint64_t key, int64_t now) {
    int at = find_open(s, key);
    if (at < 0) return;
    if (s->open[at].writes < MANY_WRITES) s->holds[s->holds_ended++ % MAX_HOLDS] = now - s->open[at].since;
    remove_open(s, at);
}

/* From when on there is a pause, if no file is open and nothing comes: not before events that come now are read. */
static int64_t pause_from(const struct source_events *s) {
    return s->last_event + (s->gap > SETTLE ? s->gap : SETTLE + SETTLE / 4);
}

static void note_renamed(struct source_events *s, uint64_t old, uint64_t new) {
    int at = find_open(s, old), other = find_open(s, new);
    if (at < 0) return;
    s->open[at].key = new;
    if (other >= 0 && other != at) remove_open(s, other);
}

/* Until when the writer is at work, as far as is known now. */
static int64_t busy_until(const struct source_events *s) {
    int64_t until = pause_from(s);
    for (int at = 0; at < s->open_count; at++)
        if (s->open[at].writes < MANY_WRITES && s->open[at].since + CAP > until) until = s->open[at].since + CAP;
    return until;
}

static void learn_gap(struct source_events *s, int64_t gap) {
    if (gap > LONGEST_GAP) gap = LONGEST_GAP;
    s->pause = s->pause * MEMORY + gap;
    for (int n = 0; n < GAPS; n++) {
        s->usable[n] = s->usable[n] * MEMORY + (gap > (MS << n) ? gap - (MS << n) : 0);
        if (n == 0 || s->usable[n] >= USABLE * s->pause) s->gap = MS << n;
    }
}

static void learn_burst(struct source_events *s, int64_t burst) {
    s->longest = burst > LONGEST_BURST ? 0 : burst > s->longest * 9 / 10 ? burst : s->longest * 9 / 10;
    s->burst_limit = 2 * s->longest > LEAST_BURST_LIMIT ? 2 * s->longest : LEAST_BURST_LIMIT;
}

/* Something happened after nothing did for a while: that was a pause, unless a file was open. */
static void end_gap(struct source_events *s, int64_t now) {
    if (!s->last_event) {
        s->burst_began = now;
        return;
    }
    if (s->busy_until <= pause_from(s)) learn_gap(s, now - s->last_event);
    if (now > s->busy_until + LEAST_PAUSE) {
        learn_burst(s, s->last_event - s->burst_began);
        s->burst_began = now;
    }
}

/* Take in what was read, and keep what Python has to see; returns its size. */
static int take_in(struct source_events *s, char *data, int size, int64_t now) {
    int kept = 0;
    for (int at = 0, length; at < size; at += length) {
        const struct inotify_event *event = (const struct inotify_event *)(data + at);
        int file = !(event->mask & IN_ISDIR);
        length = (int)(sizeof *event + event->len);
        if (!file && event->mask & IN_CREATE) s->new_folders++;
        if (event->mask & IN_Q_OVERFLOW) {
            s->open_count = 0;
        } else if (file && event->mask & IN_CREATE) {
            note_created(s, key_of(event), now);
        } else if (file && event->mask & IN_CLOSE_WRITE) {
            note_closed(s, key_of(event), now);
        } else if (file && event->mask & IN_DELETE) {
            int open = find_open(s, key_of(event));
            if (open >= 0) remove_open(s, open);
        } else if (event->mask & IN_MODIFY) {
            int open = find_open(s, key_of(event));
            if (open >= 0) s->open[open].writes++;
            continue;
        } else if (event->mask & IN_MOVED_FROM) {
            s->moved_key = key_of(event);
            s->moved_cookie = event->cookie;
            continue;
        } else if (file && event->mask & IN_MOVED_TO && event->cookie == s->moved_cookie) {
            note_renamed(s, s->moved_key, key_of(event));
        }
        memmove(data + kept, data + at, length);
        kept += length;
    }
    return kept;
}

static void publish(struct source_events *s) {
    s->busy_until = busy_until(s);
    __atomic_store_n(s->slot + SLOT_FIRM_UNTIL, s->burst_began + s->burst_limit, __ATOMIC_RELAXED);
    __atomic_store_n(s->slot + SLOT_BUSY_UNTIL, s->busy_until, __ATOMIC_RELAXED);
}

/* Measure events that were read at a time, and say on the board what follows. Returns the size of those to be kept. */
int softcopy_measure_events(struct source_events *s, char *data, int size, int64_t now) {
    if (!s->gap) s->gap = FIRST_GAP, s->burst_limit = FIRST_BURST_LIMIT;
    if (now - s->last_event > SETTLE + SETTLE / 2) end_gap(s, now);
    s->last_event = now;
    size = take_in(s, data, size, now);
    publish(s);
    return size;
}

/* How long what was read is still kept back, ns. */
static int64_t keeps_back(const struct source_events *s, int64_t now) {
    int64_t steady = now > s->burst_began + s->burst_limit; /* it does not pause: nothing is gained by waiting for that */
    int64_t last = s->kept_since + (steady ? STEADY_GATHER : s->gather);
    int64_t due = s->returned + BETWEEN_RETURNS > s->busy_until ? s->returned + BETWEEN_RETURNS : s->busy_until;
    return (due < last ? due : last) - now;
}

static struct timespec in_seconds(int64_t ns) {
    struct timespec time = {ns / 1000000000, ns % 1000000000};
    return time;
}

/* Wait for events, and until they are due: the burst to which they belong is over, or they have been kept back for as
   long as they may be. Before that it returns those that it has where a folder was made, which has to be watched, and
   where the buffer is half full. Returns the bytes of events in `buffer`; -1 once `stop` can be read, or where reading
   fails. */
int softcopy_take_events(int fd, int stop, struct source_events *s, char *buffer, int room) {
    int used = 0;
    s->due = s->new_folders = 0;
    for (;;) {
        struct pollfd ready[2] = {{fd, POLLIN, 0}, {stop, POLLIN, 0}};
        int64_t now = board_now(), left = s->kept_since ? keeps_back(s, now) : 0;
        struct timespec timeout = in_seconds(left > 0 ? left : 0), settle = in_seconds(SETTLE);
        if (s->kept_since && left <= 0) {
            s->due = 1;
            s->kept_since = 0;
            s->returned = now;
            return used;
        }
        if (s->new_folders || used > room / 2) return used;
        if (ppoll(ready, 2, s->kept_since ? &timeout : NULL, NULL) < 0 && errno != EINTR) return -1;
        if (ready[1].revents) return -1;
        if (!ready[0].revents) continue;
        __atomic_store_n(&s->unqueued, 1, __ATOMIC_SEQ_CST); /* before they leave the kernel */
        int size = (int)read(fd, buffer + used, room - used);
        if (size <= 0) {
            if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            return -1;
        }
        now = board_now();
        size = softcopy_measure_events(s, buffer + used, size, now);
        used += size;
        if (size && !s->kept_since) s->kept_since = now;
        if (!s->kept_since) __atomic_store_n(&s->unqueued, 0, __ATOMIC_SEQ_CST);
        if (!s->new_folders) nanosleep(&settle, NULL); /* what comes in one go is read in one go */
    }
}
#endif
