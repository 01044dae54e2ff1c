#pragma once
#include <sys/types.h>

/// Starts an executable as the leader of a process group of its own, so that Ctrl-C in a terminal reaches the parent
/// only.
///
/// The kernel sends it SIGTERM when the *thread* that called this ends, however it ends: call it from a thread that
/// lives as long as the child should. Standard input is /dev/null; both outputs go to `output`. Returns the process id,
/// or -1 with errno set.
pid_t skein_spawn(const char *path, char *const arguments[], int output);
