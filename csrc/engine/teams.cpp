// Who holds a team of OpenMP's threads: one thread of the process at a time.
//
// GNU OpenMP keeps a team for every thread that ever shared work.  When they are more threads than cores, all of them fall asleep at each barrier, and
// a parallel region costs 10 to 60 us instead of half a microsecond.  So a thread gives its team up before another needs one: whoever pushes a task
// that goes to a worker, and a worker that had nothing to do for a while.  From the push of such a task on, work that wants a team goes to a worker.
// Called by engine.cpp and workers.cpp.
#ifdef _OPENMP
#include <omp.h>
#endif

#include "engine/core.h"

namespace cymx {

namespace {

__thread bool holds_team, counted; // counted: in engine.worker_teams

} // namespace

bool may_take_team() {
    holds_team = holds_team || engine.worker_teams.load(std::memory_order_relaxed) == 0;
    return holds_team;
}

void promise_team_to_worker(const cymx_task &call) {
    if (call.flags & CYMX_TASK_TEAM) engine.worker_teams.fetch_add(1, std::memory_order_relaxed);
}

void take_team_in_worker(const cymx_task &call) {
    if (!(call.flags & CYMX_TASK_TEAM)) return;
    if (holds_team) engine.worker_teams.fetch_sub(1, std::memory_order_relaxed); // one promise is enough
    holds_team = counted = true;
}

void give_team_up() {
    if (!holds_team) return;
#ifdef _OPENMP
    omp_pause_resource_all(omp_pause_soft);
#endif
    if (counted) engine.worker_teams.fetch_sub(1, std::memory_order_relaxed);
    holds_team = counted = false;
}

void forget_teams_in_child() {
    engine.worker_teams.store(0, std::memory_order_relaxed);
    holds_team = counted = false;
}

} // namespace cymx
