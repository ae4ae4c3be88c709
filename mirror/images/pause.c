/*
 * The first process of a pod. It keeps the pod's namespaces while containers come and go, takes note of processes that
 * ended and have no parent any more, and ends at SIGTERM and SIGINT.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int number)
{
    (void)number;
    _exit(0);
}

static void reap(int number)
{
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static void on(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    /* Children that are stopped are none of our business. */
    action.sa_flags = SA_NOCLDSTOP;
    if (sigaction(number, &action, NULL) < 0) {
        perror("pause: sigaction");
        exit(1);
    }
}

int main(void)
{
    if (getpid() != 1)
        fputs("pause: warning: not the first process, so it gets no processes to take note of\n", stderr);
    on(SIGINT, end);
    on(SIGTERM, end);
    on(SIGCHLD, reap);
    for (;;)
        pause();
}
