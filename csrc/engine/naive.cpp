// Running tasks in their pusher: NaiveEngine, and any engine after its shutdown.  The contract of order and errors is the same.
// Called by engine.cpp and through engine.h.
#include <cstring>

#include "engine/core.h"

namespace cymx {

// A thread inside a task may itself hold what the new task needs, so it leaves that task to whoever gives the last variable back.
int push_in_pusher(Task *task, Lock &lock) {
    if (task_depth) {
        task->lane = &engine.naive_lane;
        ++engine.naive_lane.pending;
        ++engine.pending;
        enter_lines(task);
        lock.unlock();
    } else {
        std::condition_variable granted;
        task->granted = &granted;
        enter_lines(task);
        granted.wait(lock, [&] { return task->missing == 0; });
        lock.unlock();
        run_and_free(task);
    }
    if (engine.deferred.load(std::memory_order_relaxed)) run_deferred();
    return CYMX_OK;
}

void run_deferred() {
    Lock lock(engine.mutex);
    while (Task *task = engine.naive_lane.pop()) {
        lock.unlock();
        run_and_free(task);
        lock.lock();
        finish(engine.naive_lane, 0);
    }
    engine.deferred.store(false, std::memory_order_relaxed);
}

} // namespace cymx

using namespace cymx;

int cymx_engine_set_type(const char *name, cymx_error *err) {
    const bool naive = strcmp(name, "NaiveEngine") == 0;
    if (!naive && strcmp(name, "ThreadedEnginePerDevice") != 0 && strcmp(name, "ThreadedEngine") != 0)
        return fail(err, CYMX_BAD_ARGUMENT, "engine type '%.100s'; it must be ThreadedEnginePerDevice, ThreadedEngine or NaiveEngine", name);
    if (task_depth) return fail(err, CYMX_FAILED, "a task cannot change the engine's type");
    cymx_engine_drain();
    Lock lock(engine.mutex);
    engine.naive = naive;
    engine.in_pusher.store(naive || engine.stopped, std::memory_order_relaxed);
    return CYMX_OK;
}

const char *cymx_engine_type(void) {
    Lock lock(engine.mutex);
    return engine.naive ? "NaiveEngine" : "ThreadedEnginePerDevice";
}
