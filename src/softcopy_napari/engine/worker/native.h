/* What the parts of the library share: times of files on every system, and folders opened on the way to files. */

#ifndef SOFTCOPY_NATIVE_H
#define SOFTCOPY_NATIVE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../activity_board.h"

#define SECOND 1000000000LL

#ifdef __APPLE__
#define MTIME(s) ((s)->st_mtimespec)
#define CTIME(s) ((s)->st_ctimespec)
#define ATIME(s) ((s)->st_atimespec)
#else
#define MTIME(s) ((s)->st_mtim)
#define CTIME(s) ((s)->st_ctim)
#define ATIME(s) ((s)->st_atim)
#endif

#ifdef O_PATH /* to look names up in it, not to list it: a network file system is not asked to open it */
#define LOOKUP (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#else
#define LOOKUP (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#endif

static inline int64_t ns(struct timespec time) { return time.tv_sec * SECOND + time.tv_nsec; }

/* Flush an open file or folder; returns the system's number of why it may not be stored, or 0: also where its file system
   has nothing to flush, as flush_file() in files.py. */
static inline int flush(int fd) {
    if (!fsync(fd) || errno == EINVAL || errno == ENOSYS || errno == ENOTSUP || errno == EOPNOTSUPP || errno == EROFS)
        return 0;
    return errno;
}

/* The activity board that is heeded; NULL where none is. */
extern const int64_t *softcopy_board;

#endif
