// SPDX-License-Identifier: Apache-2.0
// The environments of the process that have not ended, for process exit.
#ifndef AXLE_HOST_ENVIRONMENT_LIST_H
#define AXLE_HOST_ENVIRONMENT_LIST_H

namespace axle::host {

class Environment;

void environment_add(Environment *environment);
void environment_remove(Environment *environment);

}  // namespace axle::host

#endif  // AXLE_HOST_ENVIRONMENT_LIST_H
