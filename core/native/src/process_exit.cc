// SPDX-License-Identifier: Apache-2.0
#include "process_exit.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "environment.h"
#include "environment_list.h"
#include "limits.h"

namespace axle::host {
namespace {

struct List {
  std::mutex mutex;
  std::vector<Environment *> environments;
};

// Never destroyed: exit handlers use it.
List &the_list() {
  static auto *list = new List;
  return *list;
}

void on_exit_of_process() {
  List &list = the_list();
  std::vector<Environment *> mine;
  {
    std::lock_guard<std::mutex> lock(list.mutex);
    for (Environment *each : list.environments) {
      if (each->thread() == std::this_thread::get_id()) mine.push_back(each);
    }
  }
  for (Environment *each : mine) {
    environment_remove(each);
    each->shut_down_at_exit(std::chrono::milliseconds(kExitWaitMs));
  }
}

}  // namespace

void environment_add(Environment *environment) {
  std::lock_guard<std::mutex> lock(the_list().mutex);
  the_list().environments.push_back(environment);
}

void environment_remove(Environment *environment) {
  std::lock_guard<std::mutex> lock(the_list().mutex);
  auto &all = the_list().environments;
  all.erase(std::remove(all.begin(), all.end(), environment), all.end());
}

void register_exit_handler() { std::atexit(on_exit_of_process); }

}  // namespace axle::host
