/* Copies and compares small files of one folder, many a call: what file_copier.py and folder_comparer.py do for one file, with
   the same guarantees.

   Only ever publishes a file, or says how both sides compare, or leaves it to those two, which then find out what is
   the matter with it: whatever is not plain (a link, a failed call, a short read, a change meanwhile) is not decided
   here. Called by native.py, from one thread of a copy process. Linux and macOS. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 64        /* files a call; native.py knows it too */
#define LEFT (-1)      /* in place of a size: left to file_copier.py */
#define SECOND 1000000000LL
#define COARSE 10000000LL /* a time that is a multiple of this many ns may be one of a coarse clock */

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
} files[MOST];

static int64_t ns(struct timespec time) { return time.tv_sec * SECOND + time.tv_nsec; }

static int same_version(const struct stat *a, const struct stat *b) {
    return ns(MTIME(a)) == ns(MTIME(b)) && ns(CTIME(a)) == ns(CTIME(b)) && a->st_size == b->st_size &&
           a->st_nlink == b->st_nlink && a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static int open_source(int folder, const char *name, int flags) {
    int fd = openat(folder, name, flags | O_CLOEXEC);
#ifdef O_NOATIME
    if (fd < 0 && errno == EPERM) /* somebody else's file: only its owner may ask for that */
        fd = openat(folder, name, (flags & ~O_NOATIME) | O_CLOEXEC);
#endif
    return fd;
}

/* Whether a file has holes; how many blocks it has tells that only of those that have been written to the disk. */
static int has_holes(int fd, const struct stat *file) {
#ifdef SEEK_HOLE
    if (file->st_blocks * 512 < file->st_size) {
        off_t hole = lseek(fd, 0, SEEK_HOLE);
        return lseek(fd, 0, SEEK_SET) || (hole >= 0 && hole < file->st_size);
    }
#endif
    return 0;
}

/* Read a file whole into buffer, which has room for its size and one byte more: its size, or LEFT. */
static int64_t read_whole(int fd, char *buffer, const struct stat *file) {
    int64_t size = file->st_size;
    if (fd < 0 || has_holes(fd, file)) return LEFT;
#ifdef POSIX_FADV_NOREUSE
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_NOREUSE); /* as spare_the_cache() in files.py */
#endif
    return read(fd, buffer, size + 1) == size ? size : LEFT;
}

/* Read files, one after the other into buffer. sizes gets the size of each or LEFT, times its modification time.
   Returns how many names were dealt with: fewer than count where the buffer is full. Each that was read stays open until
   softcopy_write_files. */
int softcopy_read_files(int folder, const char *names, int count, int flags, int64_t settled, int64_t coarse_settled,
                  char *buffer, int64_t room, int64_t *sizes, int64_t *times) {
    int64_t used = 0;
    int done = 0;
    for (; done < count && done < MOST; done++, names += strlen(names) + 1) {
        struct stat *before = &files[done].before;
        int64_t modified;
        files[done].fd = -1;
        sizes[done] = LEFT;
        /* By its name and before it is opened: see file_copier.py. */
        if (fstatat(folder, names, before, AT_SYMLINK_NOFOLLOW) || !S_ISREG(before->st_mode)) continue;
        if (before->st_size >= room) continue;
        if (used + before->st_size >= room) break;
        modified = times[done] = ns(MTIME(before));
        if (modified > (modified % COARSE ? settled : coarse_settled)) continue; /* its tick is not over */
        files[done].fd = open_source(folder, names, flags);
        sizes[done] = read_whole(files[done].fd, buffer + used, before);
        if (sizes[done] != LEFT) {
            used += sizes[done];
        } else if (files[done].fd >= 0) {
            close(files[done].fd);
            files[done].fd = -1;
        }
    }
    return done;
}

/* Write one file that was read to a temporary, and put that in its place if it is still the same at the source. Its
   permissions are those of mode, or where that is negative the source's. */
static int publish(int folder, const char *temporary, const char *name, int mode, int fd, const struct stat *before,
                   const char *data) {
    const struct timespec times[2] = {ATIME(before), MTIME(before)};
    struct stat after;
    int out = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     mode < 0 ? (before->st_mode & 0777) | S_IWUSR : (mode_t)mode);
    if (out < 0) return 0; /* no temporary of ours to be removed */
    int written = write(out, data, before->st_size) == before->st_size && !futimens(out, times);
    written = !close(out) && written;
    if (written && !fstat(fd, &after) && same_version(before, &after) &&
        !renameat(folder, temporary, folder, name))
        return 1;
    unlinkat(folder, temporary, 0);
    return 0;
}

/* Publish the files that the last softcopy_read_files has read, but those whose size was made LEFT since; sizes becomes LEFT
   for those that could not be. */
void softcopy_write_files(int folder, const char *temporary, const char *names, int count, int mode, const char *buffer,
                          int64_t *sizes) {
    for (int number = 0; number < count; number++, names += strlen(names) + 1) {
        int fd = files[number].fd;
        const struct stat *before = &files[number].before;
        if (fd < 0) continue;
        if (sizes[number] != LEFT && !publish(folder, temporary, names, mode, fd, before, buffer)) sizes[number] = LEFT;
        close(fd);
        buffer += before->st_size;
    }
}

/* How a file compares, as in native.py; all but the first and the last with FRESH where it changed lately. */
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

/* Compare files by their names, as up_to_date() in files.py does. totals gets the latest modification time seen, the
   bytes of those that are the same, and the earliest time; lately and soon are the times between which a change was a
   moment ago. */
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
