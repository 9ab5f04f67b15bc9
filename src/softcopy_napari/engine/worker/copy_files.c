/* Copies and compares many small files of one folder in a call, with the guarantees of file_copier.py and
   folder_comparer.py.

   A file is either published or compared here, or skipped and left to those two: that is whatever is not a plain
   regular file (a link, a failed call, a short read, a change meanwhile). Called by native.py, from one thread of a copy
   process. Linux and macOS. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 64   /* in a call; native.py has the same number */
#define SKIPPED (-1)   /* instead of a size: left to file_copier.py */
#define SECOND 1000000000LL
#define COARSE 10000000LL /* a time that is a multiple of this (ns) may be a coarse clock's */

#ifdef __APPLE__
#define MTIME(s) ((s)->st_mtimespec)
#define CTIME(s) ((s)->st_ctimespec)
#define ATIME(s) ((s)->st_atimespec)
#else
#define MTIME(s) ((s)->st_mtim)
#define CTIME(s) ((s)->st_ctim)
#define ATIME(s) ((s)->st_atim)
#endif

static struct {
    int fd;
    struct stat before;
} files[MAX_FILES];

static int64_t ns(struct timespec time) { return time.tv_sec * SECOND + time.tv_nsec; }

static int same_version(const struct stat *a, const struct stat *b) {
    return ns(MTIME(a)) == ns(MTIME(b)) && ns(CTIME(a)) == ns(CTIME(b)) && a->st_size == b->st_size &&
           a->st_nlink == b->st_nlink && a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static int open_source(int folder, const char *name, int flags) {
    int fd = openat(folder, name, flags | O_CLOEXEC);
#ifdef O_NOATIME
    if (fd < 0 && errno == EPERM) /* only a file's owner may ask for O_NOATIME */
        fd = openat(folder, name, (flags & ~O_NOATIME) | O_CLOEXEC);
#endif
    return fd;
}

/* Whether a file has holes. Its number of blocks alone does not tell before it is written to the disk. */
static int has_holes(int fd, const struct stat *file) {
#ifdef SEEK_HOLE
    if (file->st_blocks * 512 < file->st_size) {
        off_t hole = lseek(fd, 0, SEEK_HOLE);
        return lseek(fd, 0, SEEK_SET) || (hole >= 0 && hole < file->st_size);
    }
#endif
    return 0;
}

/* Read a whole file into buffer, which has room for one byte more; returns its size, or SKIPPED. */
static int64_t read_whole(int fd, char *buffer, const struct stat *file) {
    int64_t size = file->st_size;
    if (fd < 0 || has_holes(fd, file)) return SKIPPED;
#ifdef POSIX_FADV_NOREUSE
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_NOREUSE); /* as spare_the_cache() in files.py */
#endif
    return read(fd, buffer, size + 1) == size ? size : SKIPPED;
}

/* Read files one after the other into buffer. sizes gets the size of each or SKIPPED, times its modification time.
   Returns the number of files handled, fewer than count if the buffer is full. Files that were read stay open until
   softcopy_write_files. */
int softcopy_read_files(int folder, const char *names, int count, int flags, int64_t settled, int64_t coarse_settled,
                  char *buffer, int64_t room, int64_t *sizes, int64_t *times) {
    int64_t used = 0;
    int done = 0;
    for (; done < count && done < MAX_FILES; done++, names += strlen(names) + 1) {
        struct stat *before = &files[done].before;
        int64_t modified;
        files[done].fd = -1;
        sizes[done] = SKIPPED;
        /* By name, and before it is opened: see file_copier.py. */
        if (fstatat(folder, names, before, AT_SYMLINK_NOFOLLOW) || !S_ISREG(before->st_mode)) continue;
        if (before->st_size >= room) continue;
        if (used + before->st_size >= room) break;
        modified = times[done] = ns(MTIME(before));
        if (modified > (modified % COARSE ? settled : coarse_settled)) continue; /* the tick of its last change is not over */
        files[done].fd = open_source(folder, names, flags);
        sizes[done] = read_whole(files[done].fd, buffer + used, before);
        if (sizes[done] != SKIPPED) {
            used += sizes[done];
        } else if (files[done].fd >= 0) {
            close(files[done].fd);
            files[done].fd = -1;
        }
    }
    return done;
}

/* Write one file to a temporary, and rename that if the source has not changed. The copy has the permissions of mode, or
   the source's if that is negative. */
static int publish(int folder, const char *temporary, const char *name, int mode, int fd, const struct stat *before,
                   const char *data) {
    const struct timespec times[2] = {ATIME(before), MTIME(before)};
    struct stat after;
    int out = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     mode < 0 ? (before->st_mode & 0777) | S_IWUSR : (mode_t)mode);
    if (out < 0) return 0; /* there is no temporary to remove */
    int written = write(out, data, before->st_size) == before->st_size && !futimens(out, times);
    written = !close(out) && written;
    if (written && !fstat(fd, &after) && same_version(before, &after) &&
        !renameat(folder, temporary, folder, name))
        return 1;
    unlinkat(folder, temporary, 0);
    return 0;
}

/* Publish the files that the last softcopy_read_files has read, except those whose size is SKIPPED by now; sizes
   becomes SKIPPED for those that could not be published. */
void softcopy_write_files(int folder, const char *temporary, const char *names, int count, int mode, const char *buffer,
                          int64_t *sizes) {
    for (int number = 0; number < count; number++, names += strlen(names) + 1) {
        int fd = files[number].fd;
        const struct stat *before = &files[number].before;
        if (fd < 0) continue;
        if (sizes[number] != SKIPPED && !publish(folder, temporary, names, mode, fd, before, buffer)) sizes[number] = SKIPPED;
        close(fd);
        buffer += before->st_size;
    }
}

/* How a file compares, as in native.py; FRESH is added to DIFFERENT and LACKING if it changed recently. */
enum { SAME, DIFFERENT, LACKING, FRESH = 4, UNCLEAR = 8 };

static char compare(int source, int destination, const char *name, int64_t unit, struct stat *here) {
    struct stat there;
    int64_t apart;
    if (fstatat(source, name, here, AT_SYMLINK_NOFOLLOW) || !S_ISREG(here->st_mode)) return UNCLEAR;
    if (destination < 0) return LACKING; /* it has no such folder */
    if (fstatat(destination, name, &there, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT ? LACKING : UNCLEAR;
    apart = ns(MTIME(here)) - ns(MTIME(&there));
    return S_ISREG(there.st_mode) && here->st_size == there.st_size && -unit < apart && apart < unit ? SAME : DIFFERENT;
}

/* Compare files as is_up_to_date() in file_times.py does. totals gets the latest modification time, the total size of
   those that are the same, and the earliest time; a change between lately and soon is recent. */
void softcopy_compare_files(int source, int destination, const char *names, int count, int64_t unit, int64_t lately,
                      int64_t soon, char *verdicts, int64_t *totals) {
    totals[0] = totals[1] = 0;
    totals[2] = INT64_MAX;
    for (int number = 0; number < count; number++, names += strlen(names) + 1) {
        struct stat here;
        int64_t modified;
        verdicts[number] = compare(source, destination, names, unit, &here);
        if (verdicts[number] == UNCLEAR) continue;
        modified = ns(MTIME(&here));
        if (modified > totals[0]) totals[0] = modified;
        if (modified < totals[2]) totals[2] = modified;
        if (verdicts[number] == SAME)
            totals[1] += here.st_size;
        else if (lately < modified && modified < soon)
            verdicts[number] += FRESH;
    }
}
