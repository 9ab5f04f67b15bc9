/* Copies many small files in a call, with the guarantees of file_copier.py.

   A file is either published here, or skipped and left to that module: whatever is not a plain regular file (a link, a
   failed call, a short read, a change meanwhile). Called by native.py. Linux and macOS. */

#include "native.h"

/* Which version of these functions the library has: native_library.py has the same number. */
int softcopy_interface(void) { return 5; }

#define MAX_FILES 64      /* in a call; native.py has the same number */
#define AS_SOURCE (-1)    /* instead of a mode; permissions.py has the same number */
#define SKIPPED (-1)      /* instead of a size: left to file_copier.py */
#define COARSE 10000000LL /* a time that is a multiple of this (ns) may be a coarse clock's */

#define MAX_DEPTH 32      /* of folders; files deeper down are skipped */
#define MAX_LANES 16      /* calls of softcopy_write_files at a time; own_files.py has the same number */

const int64_t *softcopy_board;

/* Have calls end early when a writer begins to work, as this board says. */
void softcopy_heed_board(const int64_t *board) { softcopy_board = board; }

/* Folders from a top one to the one entered last: the next file is often nearby. makes: for each depth, whether the last
   one that was opened there had to be made; then the next one probably has, too, and a share is asked once less. */
typedef struct {
    int depth;
    char makes[MAX_DEPTH];
    struct {
        char name[NAME_MAX + 1];
        int fd;
    } at[MAX_DEPTH];
} Path;

/* What is kept from reading files to writing them. */
typedef struct {
    Path source, destination[MAX_LANES];
    struct {
        int fd;
        struct stat before;
    } files[MAX_FILES];
} Copier;

static void shorten(Path *path, int depth) {
    while (path->depth > depth) close(path->at[--path->depth].fd);
}

/* Open a folder in another one; make it, with the permissions mode, if there is none and that is not negative. */
static int open_folder(char *makes, int at, const char *name, int mode) {
    int fd = -1;
    if (mode < 0 || !*makes) fd = openat(at, name, LOOKUP);
    if (mode < 0 || fd >= 0 || (!*makes && errno != ENOENT)) return fd;
    *makes = !mkdirat(at, name, (mode_t)mode);
    return *makes || errno == EEXIST ? openat(at, name, LOOKUP) : -1;
}

/* Go into the folder of a file; returns its descriptor, or -1, and the file's name. */
static int enter(Path *path, int top, const char *file, int mode, const char **name) {
    const char *slash;
    int depth = 0;
    for (; (slash = strchr(file, '/')); file = slash + 1, depth++) {
        const size_t length = slash - file;
        if (depth == MAX_DEPTH || length > NAME_MAX) return -1;
        if (depth < path->depth && !strncmp(path->at[depth].name, file, length) && !path->at[depth].name[length]) continue;
        shorten(path, depth);
        memcpy(path->at[depth].name, file, length);
        path->at[depth].name[length] = 0;
        path->at[depth].fd =
            open_folder(&path->makes[depth], depth ? path->at[depth - 1].fd : top, path->at[depth].name, mode);
        if (path->at[depth].fd < 0) return -1;
        path->depth++;
    }
    shorten(path, depth);
    *name = file;
    return depth ? path->at[depth - 1].fd : top;
}

void *softcopy_new_copier(void) { return calloc(1, sizeof(Copier)); }

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

/* Read files one after the other into buffer. paths are below the folder top. sizes gets the size of each or SKIPPED,
   times its modification time. Returns the number of files handled, fewer than count if the buffer is full,
   or a writer is at work. Files that
   were read stay open until softcopy_write_files. */
int softcopy_read_files(void *kept, int top, const char *paths, int count, int flags, int64_t settled,
                        int64_t coarse_settled, char *buffer, int64_t room, int64_t *sizes, int64_t *times) {
    Copier *copier = kept;
    int64_t used = 0;
    int done = 0;
    for (; done < count && done < MAX_FILES; done++, paths += strlen(paths) + 1) {
        struct stat *before = &copier->files[done].before;
        const char *name;
        const int folder = enter(&copier->source, top, paths, -1, &name);
        int *fd = &copier->files[done].fd;
        int64_t modified;
        *fd = -1;
        sizes[done] = SKIPPED;
        /* By name, and before it is opened: see file_copier.py. */
        if (folder < 0 || fstatat(folder, name, before, AT_SYMLINK_NOFOLLOW) || !S_ISREG(before->st_mode)) continue;
        if (before->st_size >= room) continue;
        if (used + before->st_size >= room || (used && board_is_busy(softcopy_board))) break;
        modified = times[done] = ns(MTIME(before));
        if (modified > (modified % COARSE ? settled : coarse_settled)) continue; /* the tick of its last change is not over */
        *fd = open_source(folder, name, flags);
        sizes[done] = read_whole(*fd, buffer + used, before);
        if (sizes[done] != SKIPPED) {
            used += sizes[done];
        } else if (*fd >= 0) {
            close(*fd);
            *fd = -1;
        }
    }
    shorten(&copier->source, 0);
    return done;
}

/* Give a new file its group, if that is not negative; where it has its source's permissions (mode is negative), leave to
   another group than the source's only what everybody has, as permissions.py does. */
static int set_permissions(int out, int mode, int group, const struct stat *before) {
    struct stat made;
    if (group >= 0 && fchown(out, (uid_t)-1, (gid_t)group) && errno != EPERM && errno != ENOTSUP && errno != ENOSYS &&
        errno != EINVAL)
        return 0;
    if (mode >= 0) return 1;
    if (fstat(out, &made)) return 0;
    if (mode == AS_SOURCE && made.st_gid == before->st_gid) return 1;
    const mode_t narrowed = made.st_mode & 07777 & ~(070 & ~((made.st_mode & 07) << 3));
    return narrowed == (made.st_mode & 07777) || !fchmod(out, narrowed);
}

/* Write one file to a temporary, and rename that if the source has not changed. The copy has the permissions of mode, or
   the source's if that is negative. flushes: whether it is flushed before. */
static int publish(int folder, const char *temporary, const char *name, int mode, int group, int flushes, int fd,
                   const struct stat *before, const char *data) {
    const struct timespec times[2] = {ATIME(before), MTIME(before)};
    struct stat after;
    int out = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     mode < 0 ? (before->st_mode & 0777) | S_IWUSR : (mode_t)mode);
    if (out < 0) return 0; /* there is no temporary to remove */
    int written = set_permissions(out, mode, group, before) && write(out, data, before->st_size) == before->st_size &&
                  !futimens(out, times) && !(flushes && flush(out));
    written = !close(out) && written;
    if (written && !fstat(fd, &after) && same_version(before, &after) &&
        !renameat(folder, temporary, folder, name))
        return 1;
    unlinkat(folder, temporary, 0);
    return 0;
}

/* Publish files that the last softcopy_read_files has read, except those whose size is SKIPPED by now; sizes becomes
   SKIPPED for those that could not be published. Folders that are missing below top are made.

   lane: which of the threads calls; each has a temporary of its own.
   flushes: whether each file is flushed before it is published.
   first, count: which of the files that were read; paths, buffer and sizes begin with the first of them. */
void softcopy_write_files(void *kept, int lane, int top, const char *temporary, const char *paths, int first, int count,
                          int mode, int folder_mode, int group, int flushes, const char *buffer, int64_t *sizes) {
    Copier *copier = kept;
    Path *destination = &copier->destination[lane];
    for (int number = 0; number < count; number++, paths += strlen(paths) + 1) {
        const struct stat *before = &copier->files[first + number].before;
        const int fd = copier->files[first + number].fd;
        if (fd < 0) continue;
        if (sizes[number] != SKIPPED) {
            const char *name;
            const int folder = enter(destination, top, paths, folder_mode, &name);
            if (folder < 0 || !publish(folder, temporary, name, mode, group, flushes, fd, before, buffer)) sizes[number] = SKIPPED;
        }
        close(fd);
        buffer += before->st_size;
    }
    shorten(destination, 0);
}

/* Get the size and change time (ns) of regular files below top by their paths; the size is SKIPPED for all others. */
void softcopy_change_times(void *kept, int top, const char *paths, int count, int64_t *sizes, int64_t *times) {
    Copier *copier = kept;
    for (int number = 0; number < count; number++, paths += strlen(paths) + 1) {
        struct stat found;
        const char *name;
        const int folder = enter(&copier->destination[0], top, paths, -1, &name);
        const int plain = folder >= 0 && !fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) && S_ISREG(found.st_mode);
        sizes[number] = plain ? found.st_size : SKIPPED;
        times[number] = plain ? ns(CTIME(&found)) : 0;
    }
    shorten(&copier->destination[0], 0);
}

/* Flush files and folders below top to storage; errors gets the system's number for each, 0 where there is none, or
   SKIPPED for what could not be opened: left to held_file_system.py. lane: as of softcopy_write_files. */
void softcopy_flush_files(void *kept, int lane, int top, const char *paths, int count, int flags, int32_t *errors) {
    Copier *copier = kept;
    Path *destination = &copier->destination[lane];
    for (int number = 0; number < count; number++, paths += strlen(paths) + 1) {
        const char *name;
        const int folder = enter(destination, top, paths, -1, &name);
        const int fd = folder < 0 ? -1 : openat(folder, name, flags | O_CLOEXEC);
        errors[number] = fd < 0 ? SKIPPED : flush(fd);
        if (fd >= 0) close(fd);
    }
    shorten(destination, 0);
}
