// SPDX-License-Identifier: Apache-2.0
// process.exit() ends the main environment without its cleanup hooks, while plugins may still work on
// its tasks and exit() runs their static destructors.
#ifndef AXLE_HOST_PROCESS_EXIT_H
#define AXLE_HOST_PROCESS_EXIT_H

namespace axle::host {

// Has the environments of the thread that calls exit() shut down before the destructors of everything
// that was constructed by now. Called after each plugin is opened, for exit() runs them newest first.
void register_exit_handler();

}  // namespace axle::host

#endif  // AXLE_HOST_PROCESS_EXIT_H
