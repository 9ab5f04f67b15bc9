/* The floor under every copy: open, read, write, rename, and nothing else.
 *
 *     gcc -O2 -pthread floor.c -o floor;  ./floor SOURCE DESTINATION THREADS
 *
 * Folders are made beforehand, then the threads take one file after another. Nothing is hashed, looked at twice,
 * checked or flushed, and no time is kept. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, PATH = 4096 };

static char **files, *destination;
static size_t count, room, below; /* below: length of the source's path */
static atomic_size_t next;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int visit(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    char copy[PATH];
    (void)info, (void)where;
    snprintf(copy, sizeof copy, "%s%s", destination, path + below);
    if (kind == FTW_D && mkdir(copy, 0777)) fail(copy);
    if (kind != FTW_F) return 0;
    if (count == room && !(files = realloc(files, (room = 2 * room + 1024) * sizeof *files))) fail("memory");
    if (!(files[count++] = strdup(path))) fail("memory");
    return 0;
}

static void *work(void *unused)
{
    char final[PATH], temporary[PATH + 8], *buffer = malloc(BUFFER);
    (void)unused;
    for (size_t n; (n = atomic_fetch_add(&next, 1)) < count;) {
        snprintf(final, sizeof final, "%s%s", destination, files[n] + below);
        snprintf(temporary, sizeof temporary, "%s.part", final);
        int in = open(files[n], O_RDONLY), out = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (in < 0 || out < 0) fail(final);
        ssize_t got;
        do {
            got = read(in, buffer, BUFFER);
            if (got < 0 || (got > 0 && write(out, buffer, got) != got)) fail(final);
        } while (got == BUFFER);
        close(in);
        close(out);
        if (rename(temporary, final)) fail(final);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    int threads = atoi(argv[3]);
    pthread_t running[threads];
    below = strlen(argv[1]);
    destination = argv[2];
    if (nftw(argv[1], visit, 32, FTW_PHYS)) fail(argv[1]);
    for (int n = 0; n < threads; n++)
        if (pthread_create(&running[n], NULL, work, NULL)) fail("thread");
    for (int n = 0; n < threads; n++) pthread_join(running[n], NULL);
    return 0;
}
