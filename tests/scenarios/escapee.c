/* A service that leaves a process behind: two forks away, in a session of its own, deaf to polite signals.
 *
 *   escapee WAY FIFO [HELPER]
 *
 * WAY is how the runaway hides besides: environment (it has none), setuid (it becomes HELPER, which has the set-user-id
 * bit, and that user with all its ids), dumpable (nobody but root may look into its /proc), pipes (it holds no descriptor of its service).
 * The runaway writes its pid to FIFO once it is out; the service itself then waits for a signal.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void stay(const char *fifo) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (geteuid() != getuid() && setreuid(geteuid(), geteuid()) != 0) _exit(3);
    int told = open(fifo, O_WRONLY);
    if (told < 0) _exit(2);
    dprintf(told, "%d\n", (int)getpid());
    close(told);
    for (;;) pause();
}

int main(int count, char **words) {
    if (count < 3) return 2;
    const char *way = words[1];
    if (!strcmp(way, "stay")) stay(words[2]);
    if (fork() == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        char *none[] = {NULL};
        char *next[] = {words[0], "stay", words[2], NULL};
        if (!strcmp(way, "environment")) execve(words[0], next, none);
        if (!strcmp(way, "setuid") && count > 3) execv(words[3], next);
        if (!strcmp(way, "dumpable")) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if (!strcmp(way, "pipes")) { close(0); close(1); close(2); }
        stay(words[2]);
    }
    for (;;) pause();
}
