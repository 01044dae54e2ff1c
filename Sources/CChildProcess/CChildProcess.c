#define _GNU_SOURCE
#include "CChildProcess.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

pid_t skein_spawn(const char *path, char *const arguments[], int output) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0) return child;

    // The parent has threads: only async-signal-safe calls from here to execv.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);  // the parent died before prctl
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) _exit(127);
    close_range(3, ~0U, 0);
    execv(path, arguments);
    _exit(127);
}
