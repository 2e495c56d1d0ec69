// Contexts and their worker threads: one lane each, made at its first queued task; the bound of the queue, shutdown and fork.
// Called by engine.cpp and through engine.h.
#include <pthread.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <chrono>
#include <new>
#include <system_error>

#include "engine/core.h"

namespace cymx {

Engine &engine = *new Engine;

void Lane::push(Task *task) {
    task->next_ready = nullptr;
    (first ? last->next_ready : first) = task;
    last = task;
    if (this == &engine.naive_lane)
        engine.deferred.store(true, std::memory_order_relaxed);
    else
        ready.notify_one();
}

Task *Lane::pop() {
    Task *task = first;
    if (task) first = task->next_ready;
    return task;
}

Context *make_context(int32_t device_type, int32_t device_id) {
    std::unique_lock<SpinLock> lock(engine.contexts_lock);
    std::atomic<Context *> *link = &engine.contexts;
    for (Context *context = link->load(); context; context = link->load()) {
        if (context->device_type == device_type && context->device_id == device_id) return context;
        link = &context->next;
    }
    Context *context = new Context(device_type, device_id, context_key(engine.seed, device_id));
    link->store(context, std::memory_order_release);
    return context;
}

void finish(Lane &lane, int64_t bytes) {
    --lane.pending;
    lane.pending_bytes -= bytes;
    lane.space.notify_one();
    if (--engine.pending == 0) engine.idle.notify_all();
}

namespace {

// GNU OpenMP's threads are lost in a fork, and a parallel region of more than one thread would wait for them.
void use_one_thread() {
#ifdef _OPENMP
    omp_set_num_threads(1);
#endif
}

constexpr std::chrono::milliseconds idle_time{20};
// Beyond two tasks that write so much together, a pusher waits: what is allocated ahead comes from the system, page by page, and not from the pool.
constexpr int64_t bytes_ahead = 128 << 20;

bool has_space(const Lane &lane) {
    return engine.in_pusher.load(std::memory_order_relaxed) ||
           (lane.pending < engine.queue_limit && (lane.pending < 2 || lane.pending_bytes < bytes_ahead));
}

void work(Lane &lane) {
    const uint64_t free_word = engine.free_word.load(std::memory_order_relaxed);
    if (free_word) use_one_thread();
    Lock lock(engine.mutex);
    for (;;) {
        const auto has_work = [&] { return lane.first || engine.joining; };
        if (!lane.ready.wait_for(lock, idle_time, has_work)) {
            lock.unlock();
            give_team_up();
            lock.lock();
            lane.ready.wait(lock, has_work);
        }
        Task *task = lane.pop();
        if (!task) return;
        lock.unlock();
        const int64_t bytes = task->bytes;
        take_team_in_worker(task->call);
        run_and_free(task);
        if (engine.deferred.load(std::memory_order_relaxed)) run_deferred();
        if (engine.free_word.load(std::memory_order_relaxed) != free_word) return; // the task forked; the child's lanes have other workers
        lock.lock();
        finish(lane, bytes);
    }
}

template <class F> void for_each_context(F &&visit) {
    for (Context *context = engine.contexts.load(std::memory_order_acquire); context; context = context->next.load(std::memory_order_acquire))
        visit(*context);
}

void before_fork() {
    engine.mutex.lock();
    engine.contexts_lock.lock();
    for_each_context([](Context &context) { context.lock.lock(); });
}

void after_fork() {
    for_each_context([](Context &context) { context.lock.unlock(); });
    engine.contexts_lock.unlock();
    engine.mutex.unlock();
}

// The parent's threads are gone: condition variables may hold their waiters, and thread handles name nobody.
void forget(Lane &lane) { new (&lane) Lane; }

void after_fork_in_child() {
    engine.free_word.fetch_add(uint64_t{1} << epoch_shift, std::memory_order_relaxed);
    engine.pending = 0;
    engine.deferred.store(false, std::memory_order_relaxed);
    new (&engine.idle) std::condition_variable;
    forget(engine.naive_lane);
    for_each_context([](Context &context) { forget(context.lane); });
    for (Poison *poison : engine.errors) release_poison(poison);
    engine.errors.clear();
    forget_teams_in_child();
    use_one_thread();
    after_fork();
}

} // namespace

Engine::Engine() {
    errors.reserve(max_remembered); // so that remembering one cannot fail
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

int push_to_worker(Task *task, Lock &lock, cymx_error *err) {
    Lane &lane = find_context(task->call.device_type, task->call.device_id)->lane;
    if (task_depth == 0) lane.space.wait(lock, [&] { return has_space(lane); });
    if (engine.in_pusher.load(std::memory_order_relaxed)) return push_in_pusher(task, lock);
    if (!lane.worker) {
        try {
            lane.worker = new std::thread(work, std::ref(lane));
        } catch (const std::exception &exception) {
            return fail(err, CYMX_FAILED, "no worker thread for %s(%d): %s", device_name(task->call.device_type), task->call.device_id,
                        exception.what());
        }
    }
    promise_team_to_worker(task->call);
    ++lane.pending;
    lane.pending_bytes += task->bytes;
    ++engine.pending;
    task->lane = &lane;
    enter_lines(task);
    return CYMX_OK;
}

} // namespace cymx

using namespace cymx;

void cymx_engine_drain(void) {
    if (task_depth) return;
    Lock lock(engine.mutex);
    engine.idle.wait(lock, [] { return engine.pending == 0; });
}

int cymx_engine_set_queue_limit(int64_t n, cymx_error *err) {
    if (n < 1) return fail(err, CYMX_BAD_ARGUMENT, "a queue limit of %lld tasks; it must be at least 1", static_cast<long long>(n));
    Lock lock(engine.mutex);
    engine.queue_limit = n;
    for_each_context([](Context &context) { context.lane.space.notify_all(); });
    return CYMX_OK;
}

void cymx_engine_shutdown(void) {
    if (task_depth) return;
    Lock lock(engine.mutex);
    engine.stopped = true;
    engine.in_pusher.store(true, std::memory_order_relaxed);
    for_each_context([](Context &context) { context.lane.space.notify_all(); });
    engine.idle.wait(lock, [] { return engine.pending == 0; });
    engine.joining = true;
    for_each_context([&](Context &context) {
        std::thread *worker = context.lane.worker;
        if (!worker) return;
        context.lane.worker = nullptr;
        context.lane.ready.notify_one();
        lock.unlock();
        worker->join();
        delete worker;
        lock.lock();
    });
}
