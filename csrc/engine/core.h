// The engine room's own types: Buffer with its variable, Poison, Task, Lane, Context, Engine.
// Read by csrc/engine/*.cpp only; engine.h holds the contract and the proof of order.
#pragma once

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace cymx {

// A variable's word: epoch in the high half, then writer, queued, and the number of readers.
constexpr uint64_t writer_bit = uint64_t{1} << 31, queued_bit = uint64_t{1} << 30, reader_mask = queued_bit - 1;
constexpr int epoch_shift = 32;

struct Poison {
    std::atomic<int32_t> refs{1};
    std::atomic<bool> reported{false};
    cymx_error error;
};

struct Buffer;
struct Context;
struct Task;

// A place in a variable's line.
struct Entry {
    struct Ticket *ticket;
    Buffer *buffer;
    Entry *next;
    bool write;
};

struct alignas(64) Buffer : cymx_buffer {
    std::atomic<int32_t> refs;
    int32_t size_class; // -1: foreign memory, -2: the device's
    std::atomic<uint64_t> state;
    Poison *poison; // read by readers, written by the writer
    Context *context;
    Buffer *next_idle;   // in the pool
    Entry *first, *last; // the line, under the engine's mutex
    void (*free_fn)(void *);
    void *owner;
};

inline Buffer *as_buffer(cymx_buffer *buffer) { return static_cast<Buffer *>(buffer); }

// The ready tasks of one context, first in, first out; all under the engine's mutex.
struct Lane {
    Task *first = nullptr, *last = nullptr;
    int64_t pending = 0;       // queued and not finished
    int64_t pending_bytes = 0; // of what these write
    std::thread *worker = nullptr;
    std::condition_variable ready, space;

    void push(Task *task);
    Task *pop();
};

// Whoever waits for variables: a queued task (lane) or a blocked thread (granted).
struct Ticket {
    int64_t missing = 1; // variables not granted yet; one more while it enters the lines
    Lane *lane = nullptr;
    std::condition_variable *granted = nullptr;
    uint64_t free_word = 0; // the epoch in which it entered
};

// A copy of a cymx_task in one block, with its entries, lists and label behind it.
struct Task : Ticket {
    cymx_task call;
    Task *next_ready = nullptr;
    Entry *entries = nullptr;
    int32_t n_entries = 0;
    int64_t bytes = 0; // of what it writes
};

class SpinLock {
  public:
    void lock() {
        for (int spins = 0; flag_.exchange(true, std::memory_order_acquire); ++spins)
            if (spins >= 64) sched_yield();
    }
    void unlock() { flag_.store(false, std::memory_order_release); }

  private:
    std::atomic<bool> flag_{false};
};

constexpr int n_size_classes = 4 + 4 * 40;

struct Pool {
    Buffer *idle[n_size_classes] = {};
    cymx_storage_stats stats = {};
    int64_t idle_limit = -1;
};

struct Context {
    Context(int32_t type, int32_t id, uint64_t seed) : device_type(type), device_id(id), key(seed) {}
    const int32_t device_type, device_id;
    std::atomic<Context *> next{nullptr};
    SpinLock lock; // of the pool and the random state
    Pool pool;
    uint64_t key, counter = 0;
    Lane lane; // under the engine's mutex
};

constexpr size_t max_remembered = 256; // errors of a program that never waits

struct Engine {
    Engine();
    std::mutex mutex;
    std::condition_variable idle;
    std::atomic<uint64_t> free_word{0}; // the word of a free variable: this process' epoch
    std::atomic<bool> in_pusher{false}; // naive or stopped: tasks run in their pusher
    std::atomic<bool> deferred{false};  // the naive lane has ready tasks
    bool naive = false, stopped = false, joining = false;
    std::atomic<int32_t> worker_teams{0}; // teams of OpenMP's threads that workers hold or were promised with a task
    int64_t pending = 0, queue_limit = 1024;
    Lane naive_lane;              // tasks pushed inside a task that holds what they need; run by whoever frees it
    std::vector<Poison *> errors; // that no wait has returned, oldest first
    SpinLock contexts_lock;       // taken to make a context and to seed all; inside the mutex, outside a context's lock
    std::atomic<Context *> contexts{nullptr};
    uint64_t seed = 0;
};

// A few bytes of the room that the loader keeps for libraries opened late: an access is then no call.
#define CYMX_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) __thread

extern Engine &engine;                   // never destroyed: buffers may outlive static destructors
extern CYMX_THREAD_LOCAL int task_depth; // tasks that this thread is inside of

// Numbers of writings, taken from the process' in stretches, so that a thread seldom meets another.
extern std::atomic<uint64_t> version_stretches;
extern CYMX_THREAD_LOCAL uint64_t next_version;

inline uint64_t make_version() {
    constexpr uint64_t stretch = uint64_t{1} << 20;
    if (next_version % stretch == 0) next_version = version_stretches.fetch_add(1, std::memory_order_relaxed) * stretch;
    return ++next_version;
}

using Lock = std::unique_lock<std::mutex>;

// engine.cpp: variables and tasks
void enter_lines(Task *task);  // under the mutex
void run_and_free(Task *task); // when all its variables are granted

// workers.cpp
Context *make_context(int32_t device_type, int32_t device_id);
int push_to_worker(Task *task, Lock &lock, cymx_error *err);
void finish(Lane &lane, int64_t bytes); // under the mutex: one task less

// teams.cpp
bool may_take_team();                               // the calling thread, to run a task at once
void promise_team_to_worker(const cymx_task &call); // when it is queued
void take_team_in_worker(const cymx_task &call);    // before it runs
void give_team_up();                                // the calling thread's
void forget_teams_in_child();

// naive.cpp
int push_in_pusher(Task *task, Lock &lock);
void run_deferred();

// error.cpp
const char *device_name(int32_t device_type);
int fail(cymx_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
Poison *make_poison(const char *label, int code, const cymx_error &error);
void release_poison(Poison *poison);
void set_poison(Buffer *buffer, Poison *poison);
void remember(Poison *poison);
int report(Poison *poison, cymx_error *err);
int report_oldest(cymx_error *err);

// devices.cpp
const cymx_device_ops *device_ops(int32_t device_type); // null: the host sees the memory, or nobody registered
int wait_on_device(const Buffer &buffer, bool write, cymx_error *err);
int wait_on_all_devices(cymx_error *err);

// random.cpp
uint64_t context_key(uint64_t seed, int32_t device_id);

// The list only grows, and a program's first context comes first.
inline Context *find_context(int32_t device_type, int32_t device_id) {
    for (Context *c = engine.contexts.load(std::memory_order_acquire); c; c = c->next.load(std::memory_order_acquire))
        if (c->device_type == device_type && c->device_id == device_id) return c;
    return make_context(device_type, device_id);
}

} // namespace cymx
