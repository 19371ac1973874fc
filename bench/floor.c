/* The floor: `floor COUNT CHILD FIFO MODE` is the least that can start, restart and stop COUNT children: fork and exec.
 *
 * It keeps no log, no state and no promise; it shows what the kernel alone takes for the same work.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static sigset_t waited_for;

static pid_t start(char **argv, long index) {
    pid_t pid = fork();
    if (pid == 0) {
        char number[24];
        snprintf(number, sizeof number, "%ld", index);
        sigprocmask(SIG_UNBLOCK, &waited_for, NULL);
        execl(argv[2], argv[2], argv[3], number, argv[4], (char *)NULL);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv) {
    int signal_number;
    if (argc != 5)
        return 2;
    long count = strtol(argv[1], NULL, 10);
    pid_t *pids = calloc((size_t)count, sizeof *pids);
    if (pids == NULL)
        return 1;
    sigemptyset(&waited_for);
    sigaddset(&waited_for, SIGCHLD);
    sigaddset(&waited_for, SIGTERM);
    sigprocmask(SIG_BLOCK, &waited_for, NULL);
    for (long i = 0; i < count; i++)
        pids[i] = start(argv, i);
    while (sigwait(&waited_for, &signal_number) == 0 && signal_number != SIGTERM) {
        pid_t ended;
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
            for (long i = 0; i < count; i++)
                if (pids[i] == ended) {
                    pids[i] = start(argv, i);
                    break;
                }
    }
    for (long i = 0; i < count; i++)
        kill(pids[i], SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}
