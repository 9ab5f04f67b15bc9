/* Compares source and destination: files of one folder, or all below some folders, as folder_comparer.py does.

   What is not plain is left to that module: a file that is no regular one or differs from its copy, a folder that holds
   anything but files and folders named by numbers. Called by native.py. Linux and macOS. */

#include "native.h"
#include <dirent.h>
#include <time.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

/* How a file compares, as in native.py; FRESH is added to DIFFERENT and LACKING if it changed recently. */
enum { SAME, DIFFERENT, LACKING, FRESH = 4, UNCLEAR = 8 };

/* changed gets the copy's change time (ns) if that is later and the copy is up to date. */
static char compare(int source, int destination, const char *name, int64_t unit, struct stat *here, int64_t *changed) {
    struct stat there;
    int64_t apart;
    if (fstatat(source, name, here, AT_SYMLINK_NOFOLLOW) || !S_ISREG(here->st_mode)) return UNCLEAR;
    if (destination < 0) return LACKING; /* it has no such folder */
    if (fstatat(destination, name, &there, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT ? LACKING : UNCLEAR;
    apart = ns(MTIME(here)) - ns(MTIME(&there));
    if (!S_ISREG(there.st_mode) || here->st_size != there.st_size || -unit >= apart || apart >= unit) return DIFFERENT;
    if (ns(CTIME(&there)) > *changed) *changed = ns(CTIME(&there));
    return SAME;
}

/* Compare files as is_up_to_date() in file_times.py does. totals gets the latest modification time, the total size of
   those that are the same, the earliest time, and the latest change time of copies that are up to date; a change between
   lately and soon is recent. */
void softcopy_compare_files(int source, int destination, const char *names, int count, int64_t unit, int64_t lately,
                            int64_t soon, char *verdicts, int64_t *totals) {
    totals[0] = totals[1] = totals[3] = 0;
    totals[2] = INT64_MAX;
    for (int number = 0; number < count; number++, names += strlen(names) + 1) {
        struct stat here;
        int64_t modified;
        verdicts[number] = compare(source, destination, names, unit, &here, &totals[3]);
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

/* ---- all below some folders ---------------------------------------------------------------------------------- */

#define MAX_DEPTH 16
#define MAX_ENTRIES 8192 /* of a folder; one with more is PECULIAR, and compared in parts */
#define MAX_DIGITS 9

/* What is told of a folder, as in native.py. */
enum { COMPARED, PECULIAR, NOT_REACHED };

typedef struct {
    char *data;
    size_t size, room;
} Bytes;

typedef struct {
    int64_t modified; /* 0 if it is too recent to be relied on */
    int32_t kind, files, folders;
    int32_t error; /* the system's number of why the destination's may not be stored; 0 if nothing says so */
} Folder;

typedef struct { /* a number that names an entry, whether that is a folder, and whether the destination lists it, too */
    int32_t number;
    int16_t is_folder, is_there;
} Entry;

typedef struct {
    int64_t unit, lately, soon, racy, until;
    int deep, flushes, failed;
    int64_t newest, size, oldest_chunk, newest_chunk, newest_change;
    Bytes folder_names, folders, file_names, verdicts;
    Bytes levels[MAX_DEPTH], scratch;
    char path[MAX_DEPTH * (MAX_DIGITS + 2)];
} Walk;

static void *extend(Walk *walk, Bytes *bytes, size_t size) {
    if (bytes->size + size > bytes->room) {
        size_t room = 2 * bytes->room + size + 4096;
        char *data = realloc(bytes->data, room);
        if (!data) {
            walk->failed = 1;
            return NULL;
        }
        bytes->data = data;
        bytes->room = room;
    }
    bytes->size += size;
    return bytes->data + bytes->size - size;
}

static void add(Walk *walk, Bytes *bytes, const void *data, size_t size) {
    void *at = extend(walk, bytes, size);
    if (at) memcpy(at, data, size);
}

static void add_folder(Walk *walk, int kind, int64_t modified, int files, int folders, int error) {
    const Folder folder = {modified, kind, files, folders, error};
    add(walk, &walk->folder_names, walk->path, strlen(walk->path) + 1);
    add(walk, &walk->folders, &folder, sizeof folder);
}

static int64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ns(now);
}

/* The number that a name spells; -1 for any other name. */
static int32_t number_of(const char *name) {
    int32_t number = 0;
    size_t digits = strlen(name);
    if (digits == 0 || digits > MAX_DIGITS || (name[0] == '0' && digits > 1)) return -1;
    for (; *name; name++) {
        if (*name < '0' || *name > '9') return -1;
        number = 10 * number + (*name - '0');
    }
    return number;
}

/* Note an entry of a folder; returns whether it is a file or folder that is named by a number. Some file systems do not
   say in their listings what it is: then they are asked, if asks is set. */
static int add_entry(Walk *walk, Bytes *entries, int fd, int asks, const char *name, unsigned char type) {
    const Entry entry = {number_of(name), 0, 0};
    Entry *added;
    if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) return 1;
    if (entry.number < 0 || entries->size >= MAX_ENTRIES * sizeof(Entry)) return 0;
    if (type == DT_UNKNOWN && asks) {
        struct stat found;
        if (fstatat(fd, name, &found, AT_SYMLINK_NOFOLLOW)) return 0;
        type = S_ISDIR(found.st_mode) ? DT_DIR : S_ISREG(found.st_mode) ? DT_REG : DT_LNK;
    }
    if (type != DT_DIR && type != DT_REG && (type != DT_UNKNOWN || asks)) return 0;
    added = extend(walk, entries, sizeof entry);
    if (!added) return 0;
    *added = entry;
    added->is_folder = type == DT_DIR;
    return 1;
}

static int by_number(const void *a, const void *b) {
    const Entry *one = a, *other = b;
    return (one->number > other->number) - (one->number < other->number);
}

/* List a folder, sorted; returns whether all that it holds is named by numbers. */
static int list(Walk *walk, int fd, int asks, Bytes *entries) {
    int plain = 1;
    entries->size = 0;
#ifdef SYS_getdents64
    struct kernel_entry { /* as the kernel writes it */
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(struct kernel_entry) char buffer[1 << 15];
    long got;
    while (plain && (got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
        for (long at = 0; plain && at < got;) {
            const struct kernel_entry *entry = (const struct kernel_entry *)(buffer + at);
            plain = add_entry(walk, entries, fd, asks, entry->name, entry->type);
            at += entry->length;
        }
    plain = plain && got == 0;
#else
    DIR *folder = fdopendir(dup(fd));
    struct dirent *entry;
    if (!folder) return 0;
    while (errno = 0, plain && (entry = readdir(folder)))
        plain = add_entry(walk, entries, fd, asks, entry->d_name, entry->d_type);
    plain = plain && !errno;
    closedir(folder);
#endif
    qsort(entries->data, entries->size / sizeof(Entry), sizeof(Entry), by_number);
    return plain;
}

/* Note which of the source's entries the destination has, too, both sorted; returns whether it has no others. */
static int match(const Bytes *destination, Bytes *source) {
    const Entry *there = (const Entry *)destination->data, *last = there + destination->size / sizeof(Entry);
    Entry *here = (Entry *)source->data, *end = here + source->size / sizeof(Entry);
    for (; there < last; there++) {
        while (here < end && here->number < there->number) here++;
        if (here == end || here->number != there->number) return 0;
        here->is_there = 1;
    }
    return 1;
}

/* Compare the files of a folder; returns how many there are, or -1 where one needs a closer look. */
static int compare_entries(Walk *walk, int source, int destination, const Bytes *entries) {
    const Entry *entry = (const Entry *)entries->data, *end = entry + entries->size / sizeof(Entry);
    const size_t before[] = {walk->file_names.size, walk->verdicts.size};
    int64_t newest = 0, oldest = INT64_MAX, size = 0;
    int files = 0;
    for (; entry < end; entry++) {
        char name[MAX_DIGITS + 2];
        struct stat here;
        int64_t modified;
        char verdict;
        if (entry->is_folder) continue;
        snprintf(name, sizeof name, "%d", entry->number);
        verdict = compare(source, entry->is_there ? destination : -1, name, walk->unit, &here, &walk->newest_change);
        if (files % 256 == 255 && monotonic() > walk->until + SECOND) verdict = UNCLEAR; /* slow: compared in parts */
        modified = ns(MTIME(&here));
        if (verdict == SAME)
            size += here.st_size;
        else if (verdict != LACKING || (walk->lately < modified && modified < walk->soon)) {
            walk->file_names.size = before[0];
            walk->verdicts.size = before[1];
            return -1;
        }
        if (modified > newest) newest = modified;
        if (modified < oldest) oldest = modified;
        add(walk, &walk->verdicts, &verdict, 1);
        add(walk, &walk->file_names, walk->path, strlen(walk->path));
        add(walk, &walk->file_names, "/", 1);
        add(walk, &walk->file_names, name, strlen(name) + 1);
        files++;
    }
    walk->size += size;
    if (newest > walk->newest) walk->newest = newest;
    if (newest > walk->newest_chunk) walk->newest_chunk = newest;
    if (oldest < walk->oldest_chunk) walk->oldest_chunk = oldest;
    return files;
}

/* Whether no other folder should be begun. */
static int is_over(const Walk *walk) { return monotonic() > walk->until || board_is_busy(softcopy_board); }

/* Compare a folder, whose path is walk->path, and those below it. */
static void visit(Walk *walk, int source_at, int destination_at, const char *name, int depth) {
    const size_t length = strlen(walk->path);
    struct stat found;
    int source = -1, destination = -1, files = -1, error = 0;
    int64_t modified = 0;
    Bytes *entries = &walk->levels[depth];
    if (walk->failed) return;
    if (depth && (!walk->deep || is_over(walk))) {
        add_folder(walk, NOT_REACHED, 0, 0, 0, 0);
        return;
    }
    source = openat(source_at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source >= 0 && !fstat(source, &found) && list(walk, source, 1, entries) && entries->size && depth + 1 < MAX_DEPTH) {
        int is_there = 0, is_plain = 1;
        modified = ns(MTIME(&found)); /* from before it was listed */
        if (destination_at >= 0) {
            destination = openat(destination_at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            is_there = destination >= 0;
            is_plain = is_there ? list(walk, destination, 0, &walk->scratch) && match(&walk->scratch, entries)
                                : errno == ENOENT;
        }
        if (is_there && walk->flushes) error = flush(destination);
        if (is_plain && !error) files = compare_entries(walk, source, destination, entries);
    }
    if (files < 0) {
        add_folder(walk, PECULIAR, 0, 0, 0, error);
    } else {
        const int count = entries->size / sizeof(Entry);
        if (modified > walk->newest) walk->newest = modified;
        add_folder(walk, COMPARED, modified < walk->racy ? modified : 0, files, count - files, 0);
        for (int number = 0; number < count; number++) { /* entries->data stays: deeper ones have their own */
            const Entry *entry = (const Entry *)entries->data + number;
            char below[MAX_DIGITS + 2];
            if (!entry->is_folder) continue;
            snprintf(below, sizeof below, "%d", entry->number);
            snprintf(walk->path + length, sizeof walk->path - length, "/%s", below);
            visit(walk, source, entry->is_there ? destination : -1, below, depth + 1);
            walk->path[length] = 0;
        }
    }
    if (source >= 0) close(source);
    if (destination >= 0) close(destination);
}

/* Compare folders that are named by numbers, and, if deep is set, all below them.

   source, destination: the folder that they lie in, on both sides; destination is -1 where it has none.
   names: theirs, NUL-terminated, one after the other.
   flushes: whether the destination's folders are flushed.
   racy: a folder modified after this (ns) may change without showing that.
   most: ns after which no other folder is begun, nor when a writer begins to work. Those below the last of names that was begun are NOT_REACHED.
   out: gets the addresses of folder names, folders, file names and verdicts, and their sizes.
   totals: as of softcopy_compare_files, then the latest modification time of a file, and how many of names were begun.

   Returns what softcopy_end_walk has to free; NULL where there was no memory. */
void *softcopy_walk(int source, int destination, const char *names, int count, int deep, int flushes, int64_t unit,
                    int64_t lately, int64_t soon, int64_t racy, int64_t most, void **out, int64_t *sizes, int64_t *totals) {
    Walk *walk = calloc(1, sizeof *walk);
    int begun = 0;
    if (!walk) return NULL;
    walk->deep = deep;
    walk->flushes = flushes;
    walk->unit = unit;
    walk->lately = lately;
    walk->soon = soon;
    walk->racy = racy;
    walk->until = monotonic() + most;
    walk->oldest_chunk = INT64_MAX;
    for (; begun < count && (!begun || !is_over(walk)); begun++, names += strlen(names) + 1) {
        snprintf(walk->path, sizeof walk->path, "%s", names);
        visit(walk, source, destination, names, 0);
    }
    const Bytes *parts[] = {&walk->folder_names, &walk->folders, &walk->file_names, &walk->verdicts};
    for (int part = 0; part < 4; part++) {
        out[part] = parts[part]->data;
        sizes[part] = walk->failed ? -1 : (int64_t)parts[part]->size;
    }
    totals[0] = walk->newest;
    totals[1] = walk->size;
    totals[2] = walk->oldest_chunk;
    totals[3] = walk->newest_change;
    totals[4] = walk->newest_chunk;
    totals[5] = begun;
    return walk;
}

void softcopy_end_walk(void *ended) {
    Walk *walk = ended;
    if (!walk) return;
    for (int depth = 0; depth < MAX_DEPTH; depth++) free(walk->levels[depth].data);
    free(walk->scratch.data);
    free(walk->folder_names.data);
    free(walk->folders.data);
    free(walk->file_names.data);
    free(walk->verdicts.data);
    free(walk);
}

/* Get the modification times (ns) of folders by their paths, 0 for those that cannot be looked at. */
void softcopy_folder_times(int root, const char *paths, int count, int64_t *times) {
    for (int number = 0; number < count; number++, paths += strlen(paths) + 1) {
        struct stat found;
        times[number] = !fstatat(root, *paths ? paths : ".", &found, AT_SYMLINK_NOFOLLOW) && S_ISDIR(found.st_mode)
                            ? ns(MTIME(&found))
                            : 0;
    }
}
