/* A service of the bench: `child FIFO INDEX MODE`. Its first act is to read the clock; it sends the reading to FIFO.
 *
 * MODE is `rest` (ends by TERM at once), `slow` (needs one second to end), `notify MS` (says READY=1 after so long, with a
 * stamp right before), `port MS PORT` (listens after so long, with a stamp right after), or `flood BYTES CHUNK LINE`: at
 * every USR1 it writes BYTES to stdout in writes of CHUNK bytes, made of lines of LINE bytes, between two more stamps.
 * `verify FILE BYTES CHUNK LINE` as the arguments checks a file that floods filled: exit code 0 when nothing is lost,
 * doubled or cut.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { STARTED = 0, FLOOD_BEGINS = 1, FLOOD_ENDS = 2, READY = 3 };

/* 24 bytes: less than PIPE_BUF, so stamps of many children never mix. */
struct stamp {
    uint32_t index;
    uint32_t kind;
    uint64_t pid;
    uint64_t nanoseconds;
};

static uint64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void send_stamp(const char *fifo, uint32_t index, uint32_t kind, uint64_t nanoseconds) {
    struct stamp stamp = {index, kind, (uint64_t)getpid(), nanoseconds};
    int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, &stamp, sizeof stamp) != sizeof stamp)
        _exit(111);
    close(fd);
}

/* Chunk `number` of a flood: lines of `line` bytes, each `<chunk> <line in chunk> xxx…\n`. */
static void fill(char *chunk, size_t size, size_t line) {
    memset(chunk, 'x', size);
    for (size_t at = 0; at < size; at += line) {
        char head[32];
        int length = snprintf(head, sizeof head, "%012d %06zu ", 0, at / line);
        memcpy(chunk + at, head, (size_t)length);
        chunk[at + line - 1] = '\n';
    }
}

static void number(char *chunk, uint64_t value) {
    for (int digit = 11; digit >= 0; digit--, value /= 10)
        chunk[digit] = (char)('0' + value % 10);
}

static void write_whole(const char *from, size_t size) {
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, from, size);
        if (written < 0)
            _exit(112);
        from += written;
        size -= (size_t)written;
    }
}

static void flood(const char *fifo, uint32_t index, uint64_t bytes, size_t size, size_t line) {
    char *chunk = malloc(size);
    sigset_t go;
    int signal_number;
    if (chunk == NULL)
        _exit(113);
    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    fill(chunk, size, line);
    for (;;) {
        sigwait(&go, &signal_number);
        send_stamp(fifo, index, FLOOD_BEGINS, monotonic());
        for (uint64_t done = 0; done < bytes; done += size) {
            number(chunk, done / size);
            write_whole(chunk, size);
        }
        send_stamp(fifo, index, FLOOD_ENDS, monotonic());
    }
}

static int verify(const char *path, uint64_t bytes, size_t size, size_t line) {
    char *wanted = malloc(size), *found = malloc(size);
    FILE *file = fopen(path, "r");
    if (file == NULL || wanted == NULL || found == NULL)
        return 2;
    fill(wanted, size, line);
    for (uint64_t done = 0; done < bytes; done += size) {
        number(wanted, done / size);
        if (fread(found, 1, size, file) != size || memcmp(found, wanted, size) != 0) {
            fprintf(stderr, "%s: lost, doubled or cut at byte %llu\n", path, (unsigned long long)done);
            return 1;
        }
    }
    if (fgetc(file) != EOF) {
        fprintf(stderr, "%s: more than %llu bytes\n", path, (unsigned long long)bytes);
        return 1;
    }
    return 0;
}

static void end_late(int signal_number) {
    struct timespec second = {1, 0};
    (void)signal_number;
    while (nanosleep(&second, &second) != 0)
        ;
    _exit(0);
}

static void wait_for(unsigned long milliseconds) {
    struct timespec left = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

static void say_ready(const char *fifo, uint32_t index) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (path == NULL || fd < 0 || strlen(path) >= sizeof to.sun_path)
        _exit(114);
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@')
        to.sun_path[0] = 0;
    if (connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) != 0)
        _exit(115);
    send_stamp(fifo, index, READY, monotonic());
    if (send(fd, "READY=1", 7, 0) != 7)
        _exit(116);
}

static void open_port(const char *fifo, uint32_t index, unsigned long port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int yes = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0)
        _exit(117);
    send_stamp(fifo, index, READY, monotonic());
}

int main(int argc, char **argv) {
    uint64_t now = monotonic();
    if (argc == 6 && strcmp(argv[1], "verify") == 0)
        return verify(argv[2], strtoull(argv[3], NULL, 10), strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
    if (argc < 4)
        return 2;
    uint32_t index = (uint32_t)strtoul(argv[2], NULL, 10);
    if (argc == 7 && strcmp(argv[3], "flood") == 0) {
        sigset_t go;
        sigemptyset(&go);
        sigaddset(&go, SIGUSR1);
        sigprocmask(SIG_BLOCK, &go, NULL);
        send_stamp(argv[1], index, STARTED, now);
        flood(argv[1], index, strtoull(argv[4], NULL, 10), strtoul(argv[5], NULL, 10), strtoul(argv[6], NULL, 10));
    }
    if (strcmp(argv[3], "slow") == 0)
        signal(SIGTERM, end_late);
    send_stamp(argv[1], index, STARTED, now);
    if (argc > 4)
        wait_for(strtoul(argv[4], NULL, 10));
    if (argc == 5 && strcmp(argv[3], "notify") == 0)
        say_ready(argv[1], index);
    if (argc == 6 && strcmp(argv[3], "port") == 0)
        open_port(argv[1], index, strtoul(argv[5], NULL, 10));
    for (;;)
        pause();
}
