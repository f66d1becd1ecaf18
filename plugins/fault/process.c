/* SPDX-License-Identifier: Apache-2.0
 * Changes what is not the plugin's: what the process shares, and how threads of the host are set. */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "fault.h"

#define CHANGED_UMASK 0137
#define FLUSH_AND_ZERO 0x8040u

void spoil_process(const axle_instance *instance) {
  switch (instance->fault) {
    case FAULT_CHANGE_DIRECTORY:
      if (chdir("/") != 0) abort();
      return;
    case FAULT_CHANGE_UMASK:
      umask(CHANGED_UMASK);
      return;
    case FAULT_CHANGE_VARIABLE:
      setenv("PATH", "/", 1);
      return;
    case FAULT_IGNORE_SIGNAL:
      signal(SIGUSR2, SIG_IGN);
      return;
    case FAULT_CLOSE_INPUT:
      close(STDIN_FILENO);
      return;
    default:
      return;
  }
}

void spoil_thread(const axle_instance *instance) {
  sigset_t all;
  switch (instance->fault) {
    case FAULT_BLOCK_SIGNALS:
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, NULL);
      return;
    case FAULT_ROUND_UP:
      fesetround(FE_UPWARD);
      return;
    case FAULT_FLUSH_DENORMALS:
#if defined(__SSE2__)
      _mm_setcsr(_mm_getcsr() | FLUSH_AND_ZERO);
#endif
      return;
    default:
      return;
  }
}
