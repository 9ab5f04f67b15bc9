/* The floor under every copy: the same folders and files, each read, hashed (XXH3-128), written and renamed.
 *
 *     gcc -O2 -pthread floor.c -o floor;  ./floor SOURCE DESTINATION THREADS
 *
 * Threads take folders and batches of files from one stack. Nothing is looked at twice, checked, kept or flushed. */
#define _GNU_SOURCE
#define XXH_INLINE_ALL
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { BUFFER = 1 << 20, BATCH = 32 };

struct task { /* files of a folder; or, without files, a folder to go through; the path is relative, "" at the top */
    struct task *below;
    char *folder;
    int count;
    char *files[BATCH];
};

static int source, destination, working;
static struct task *stack;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static XXH64_hash_t sum; /* of all digests, so that none is left out by the compiler */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct task *new_task(const char *folder, const char *below)
{
    struct task *task = calloc(1, sizeof *task);
    if (!task || asprintf(&task->folder, "%s%s%s", folder, *folder && *below ? "/" : "", below) < 0) fail("memory");
    return task;
}

static void push(struct task *task)
{
    pthread_mutex_lock(&mutex);
    task->below = stack;
    stack = task;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
}

static int enter(int top, const char *folder)
{
    int fd = openat(top, *folder ? folder : ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0) fail(folder);
    return fd;
}

static void copy(int from, int to, const char *name, char *buffer, XXH3_state_t *state)
{
    char temporary[NAME_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.part", name);
    int in = openat(from, name, O_RDONLY), out = openat(to, temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (in < 0 || out < 0) fail(name);
    ssize_t got;
    XXH3_128bits_reset(state);
    do {
        got = read(in, buffer, BUFFER);
        if (got < 0 || (got > 0 && write(out, buffer, got) != got)) fail(name);
        XXH3_128bits_update(state, buffer, got);
    } while (got == BUFFER);
    close(in);
    close(out);
    if (renameat(to, temporary, to, name)) fail(name);
    __atomic_fetch_add(&sum, XXH3_128bits_digest(state).low64, __ATOMIC_RELAXED);
}

/* Push what is below; returns the last files, for which the folder need not be opened again. */
static struct task *list(struct task *task, int from, int to)
{
    struct task *batch = new_task(task->folder, "");
    DIR *entries = fdopendir(dup(from));
    if (!entries) fail(task->folder);
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (entry->d_type == DT_DIR) {
            if (mkdirat(to, entry->d_name, 0777)) fail(entry->d_name);
            push(new_task(task->folder, entry->d_name));
            continue;
        }
        if (!(batch->files[batch->count++] = strdup(entry->d_name))) fail("memory");
        if (batch->count == BATCH) push(batch), batch = new_task(task->folder, "");
    }
    closedir(entries);
    free(task->folder);
    free(task);
    return batch;
}

static void *work(void *unused)
{
    char *buffer = malloc(BUFFER);
    XXH3_state_t *state = XXH3_createState();
    (void)unused;
    if (!buffer || !state) fail("memory");
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (!stack && working) pthread_cond_wait(&changed, &mutex);
        struct task *task = stack;
        if (!task) break;
        stack = task->below;
        working++;
        pthread_mutex_unlock(&mutex);
        int from = enter(source, task->folder), to = enter(destination, task->folder);
        if (!task->count) task = list(task, from, to);
        for (int n = 0; n < task->count; n++) {
            copy(from, to, task->files[n], buffer, state);
            free(task->files[n]);
        }
        close(from);
        close(to);
        free(task->folder);
        free(task);
        pthread_mutex_lock(&mutex);
        working--;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    int threads = atoi(argv[3]);
    pthread_t running[threads];
    if (mkdir(argv[2], 0777)) fail(argv[2]);
    source = enter(AT_FDCWD, argv[1]);
    destination = enter(AT_FDCWD, argv[2]);
    push(new_task("", ""));
    for (int n = 0; n < threads; n++)
        if (pthread_create(&running[n], NULL, work, NULL)) fail("thread");
    for (int n = 0; n < threads; n++) pthread_join(running[n], NULL);
    printf("%016llx\n", (unsigned long long)sum);
    return 0;
}
