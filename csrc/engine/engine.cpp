// Variables and tasks: the fast path that runs a small task at once, the lines that others stand in, and the waits.
// engine.h proves why no wakeup is lost.  Called through engine.h, by workers.cpp and naive.cpp.
#include "engine/engine.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "engine/core.h"

namespace cymx {

CYMX_THREAD_LOCAL int task_depth = 0;
std::atomic<uint64_t> version_stretches{0};
CYMX_THREAD_LOCAL uint64_t next_version = 0;

namespace {

constexpr int32_t max_at_once = 64; // buffers of a task that may take the fast path, which compares them pairwise

// ---- the fast path: nothing but atomic operations on the words ----

bool try_read(Buffer *buffer, uint64_t free_word) {
    uint64_t word = buffer->state.load(std::memory_order_relaxed);
    while (((word ^ free_word) & ~reader_mask) == 0)
        if (buffer->state.compare_exchange_weak(word, word + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
    return false;
}

bool try_write(Buffer *buffer, uint64_t free_word) {
    uint64_t word = free_word;
    return buffer->state.compare_exchange_strong(word, free_word | writer_bit, std::memory_order_acquire, std::memory_order_relaxed);
}

void serve(Buffer *buffer);

// Gives one access back; true if the line must be served.
bool give_back(Buffer *buffer, bool write, uint64_t free_word) {
    if (engine.free_word.load(std::memory_order_relaxed) != free_word) return false; // forked inside the task: the epoch is over
    const uint64_t before = buffer->state.fetch_sub(write ? writer_bit : 1, std::memory_order_release);
    return (before & queued_bit) && (write || (before & reader_mask) == 1);
}

void leave(Buffer *buffer, bool write, uint64_t free_word) {
    if (give_back(buffer, write, free_word)) {
        Lock lock(engine.mutex);
        serve(buffer);
    }
}

bool contains(cymx_buffer *const *list, int32_t n, const cymx_buffer *buffer) {
    for (int32_t i = 0; i < n; ++i)
        if (list[i] == buffer) return true;
    return false;
}

// How many of its outputs a task that runs at once must take.
int32_t shared_writes(const cymx_task &task) { return task.flags & CYMX_TASK_FRESH ? 0 : task.n_writes; }

// Leaves the first n_writes and n_reads of the task's lists, skipping the duplicates that try_enter skipped.
void leave_first(const cymx_task &task, int32_t n_writes, int32_t n_reads, uint64_t free_word) {
    for (int32_t i = 0; i < n_writes; ++i)
        if (!contains(task.writes, i, task.writes[i])) leave(as_buffer(task.writes[i]), true, free_word);
    for (int32_t i = 0; i < n_reads; ++i)
        if (!contains(task.writes, task.n_writes, task.reads[i])) leave(as_buffer(task.reads[i]), false, free_word);
}

bool try_enter(const cymx_task &task, uint64_t free_word) {
    for (int32_t i = 0; i < shared_writes(task); ++i)
        if (!contains(task.writes, i, task.writes[i]) && !try_write(as_buffer(task.writes[i]), free_word)) {
            leave_first(task, i, 0, free_word);
            return false;
        }
    for (int32_t i = 0; i < task.n_reads; ++i)
        if (!contains(task.writes, task.n_writes, task.reads[i]) && !try_read(as_buffer(task.reads[i]), free_word)) {
            leave_first(task, shared_writes(task), i, free_word);
            return false;
        }
    return true;
}

// ---- the slow path: lines, under the mutex ----

void granted(Ticket *ticket) {
    if (--ticket->missing) return;
    if (ticket->lane)
        ticket->lane->push(static_cast<Task *>(ticket));
    else
        ticket->granted->notify_one();
}

void serve(Buffer *buffer) {
    while (Entry *entry = buffer->first) {
        const uint64_t word = buffer->state.load(std::memory_order_relaxed);
        if ((word & writer_bit) || (entry->write && (word & reader_mask))) return;
        buffer->state.fetch_add(entry->write ? writer_bit : 1, std::memory_order_acq_rel);
        buffer->first = entry->next;
        if (!buffer->first) {
            buffer->last = nullptr;
            buffer->state.fetch_and(~queued_bit, std::memory_order_acq_rel);
        }
        granted(entry->ticket);
    }
}

// Frees a variable whose holders stayed behind in the parent process.
void take_over(Buffer *buffer, uint64_t free_word) {
    bool lost = buffer->state.load(std::memory_order_relaxed) & writer_bit;
    for (Entry *entry = buffer->first; entry; entry = entry->next) lost |= entry->write;
    buffer->first = buffer->last = nullptr;
    if (lost) {
        cymx_error error;
        fail(&error, CYMX_FAILED, "the task that writes this array was still pending in the parent process when it forked");
        Poison *poison = make_poison(nullptr, CYMX_FAILED, error);
        set_poison(buffer, poison);
        release_poison(poison);
    }
    buffer->state.store(free_word, std::memory_order_release);
}

// Takes the variable or, if that cannot be and may_wait, a place in its line; true if taken.
bool enter_line(Entry *entry, bool may_wait) {
    Buffer *buffer = entry->buffer;
    const uint64_t free_word = engine.free_word.load(std::memory_order_relaxed);
    if ((buffer->state.load(std::memory_order_relaxed) ^ free_word) >> epoch_shift) take_over(buffer, free_word);
    if (!buffer->first) {
        uint64_t word = buffer->state.load(std::memory_order_relaxed);
        for (;;) {
            const bool fits = entry->write ? word == free_word : !(word & writer_bit);
            if (!fits && !may_wait) return false;
            const uint64_t wanted = word + (!fits ? queued_bit : entry->write ? writer_bit : 1);
            if (!buffer->state.compare_exchange_weak(word, wanted, std::memory_order_acq_rel, std::memory_order_relaxed)) continue;
            if (fits) return true;
            break;
        }
        buffer->first = entry;
    } else {
        if (!may_wait) return false;
        buffer->last->next = entry;
    }
    buffer->last = entry;
    return false;
}

void leave_line(const Entry &entry) {
    if (give_back(entry.buffer, entry.write, entry.ticket->free_word)) serve(entry.buffer);
}

// ---- tasks ----

// So that a NaiveEngine knows which task a device failed in.
int wait_for_written(const cymx_task &call, cymx_error *err) {
    for (int32_t i = 0; i < call.n_writes; ++i)
        if (const int code = wait_on_device(*as_buffer(call.writes[i]), true, err)) return code;
    return CYMX_OK;
}

// Runs a task whose variables are held, or passes on the poison that it would read.
void run_call(const cymx_task &call) {
    ++task_depth;
    Poison *poison = nullptr;
    for (int32_t i = 0; i < call.n_reads && !poison; ++i) poison = as_buffer(call.reads[i])->poison;
    bool own = false;
    if (!poison) {
        cymx_error error;
        error.code = CYMX_OK;
        error.message[0] = '\0';
        int code;
        try {
            code = call.run(call.arg, &error);
        } catch (const std::bad_alloc &) {
            code = fail(&error, CYMX_OUT_OF_MEMORY, "out of memory");
        } catch (const std::exception &exception) {
            code = fail(&error, CYMX_FAILED, "%s", exception.what());
#ifdef __GLIBCXX__
        } catch (const abi::__forced_unwind &) {
            throw; // the thread is being ended, as Python ends daemon threads that ask for the GIL too late
#endif
        } catch (...) {
            code = fail(&error, CYMX_FAILED, "an unknown C++ exception");
        }
        if (code == CYMX_OK && engine.in_pusher.load(std::memory_order_relaxed)) code = wait_for_written(call, &error);
        own = code != CYMX_OK;
        if (own) poison = make_poison(call.label, code, error);
    }
    for (int32_t i = 0; i < call.n_writes; ++i) {
        set_poison(as_buffer(call.writes[i]), poison);
        call.writes[i]->version = make_version();
    }
    if (own) {
        remember(poison);
        release_poison(poison);
    }
    if (call.drop) call.drop(call.arg);
    --task_depth;
}

template <class T> T *place(char *&at, size_t n) {
    T *here = reinterpret_cast<T *>(at);
    at += n * sizeof(T);
    return here;
}

Task *make_task(const cymx_task &call) {
    const size_t n_reads = call.n_reads, n_writes = call.n_writes, n = n_reads + n_writes;
    const size_t label_bytes = call.label ? strlen(call.label) + 1 : 0, arg_bytes = (call.arg_bytes + size_t{7}) & ~size_t{7};
    char *at = static_cast<char *>(malloc(sizeof(Task) + n * (sizeof(Entry) + sizeof(cymx_buffer *)) + arg_bytes + label_bytes));
    if (!at) return nullptr;
    Task *task = new (place<Task>(at, 1)) Task;
    task->call = call;
    task->entries = place<Entry>(at, n);
    cymx_buffer **buffers = place<cymx_buffer *>(at, n);
    std::copy_n(call.reads, n_reads, buffers);
    std::copy_n(call.writes, n_writes, buffers + n_reads);
    task->call.reads = buffers;
    task->call.writes = buffers + n_reads;
    if (arg_bytes) task->call.arg = memcpy(place<char>(at, arg_bytes), call.arg, call.arg_bytes);
    for (size_t i = 0; i < n_writes; ++i) task->bytes += call.writes[i]->bytes;
    if (call.label) task->call.label = static_cast<char *>(memcpy(at, call.label, label_bytes));

    Entry *entries = task->entries;
    for (size_t i = 0; i < n; ++i) entries[i] = Entry{task, as_buffer(buffers[i]), nullptr, i >= n_reads};
    std::sort(entries, entries + n, [](const Entry &a, const Entry &b) { return a.buffer != b.buffer ? a.buffer < b.buffer : a.write > b.write; });
    Entry *end = std::unique(entries, entries + n, [](const Entry &a, const Entry &b) { return a.buffer == b.buffer; });
    task->n_entries = static_cast<int32_t>(end - entries);
    for (int32_t i = 0; i < task->n_entries; ++i) cymx_buffer_retain(entries[i].buffer);
    return task;
}

void free_task(Task *task) {
    for (int32_t i = 0; i < task->n_entries; ++i) cymx_buffer_release(task->entries[i].buffer);
    free(task);
}

int wait_for(cymx_buffer *handle, bool write, cymx_error *err) {
    Buffer *buffer = as_buffer(handle);
    const uint64_t free_word = engine.free_word.load(std::memory_order_relaxed);
    if (!(write ? try_write(buffer, free_word) : try_read(buffer, free_word))) {
        std::condition_variable woken;
        Ticket ticket;
        ticket.granted = &woken;
        Entry entry{&ticket, buffer, nullptr, write};
        Lock lock(engine.mutex);
        if (!enter_line(&entry, task_depth == 0)) {
            if (task_depth) return fail(err, CYMX_FAILED, "a task waits for an array that is not ready; this would block for ever");
            woken.wait(lock, [&] { return ticket.missing == 0; });
        }
    }
    const int code = report(buffer->poison, err);
    leave(buffer, write, free_word);
    if (engine.deferred.load(std::memory_order_relaxed)) run_deferred();
    return code ? code : wait_on_device(*buffer, write, err);
}

} // namespace

void enter_lines(Task *task) {
    task->free_word = engine.free_word.load(std::memory_order_relaxed);
    task->missing += task->n_entries;
    for (int32_t i = 0; i < task->n_entries; ++i)
        if (enter_line(&task->entries[i], true)) --task->missing;
    granted(task);
}

void run_and_free(Task *task) {
    run_call(task->call);
    {
        Lock lock(engine.mutex);
        for (int32_t i = 0; i < task->n_entries; ++i) leave_line(task->entries[i]);
    }
    free_task(task);
}

} // namespace cymx

using namespace cymx;

int cymx_engine_push(const cymx_task *call, cymx_error *err) {
    const bool small = (call->flags & CYMX_TASK_SMALL) && (!(call->flags & CYMX_TASK_TEAM) || may_take_team());
    const bool at_once = small || engine.in_pusher.load(std::memory_order_relaxed);
    if (at_once && call->n_reads + call->n_writes <= max_at_once) {
        const uint64_t free_word = engine.free_word.load(std::memory_order_relaxed);
        if (try_enter(*call, free_word)) {
            run_call(*call);
            leave_first(*call, shared_writes(*call), call->n_reads, free_word);
            if (engine.deferred.load(std::memory_order_relaxed)) run_deferred();
            return CYMX_OK;
        }
    }
    Task *task = make_task(*call);
    if (!task) return fail(err, CYMX_OUT_OF_MEMORY, "out of memory while a task was queued");
    if ((call->flags & CYMX_TASK_TEAM) && !task_depth && !engine.in_pusher.load(std::memory_order_relaxed)) give_team_up();
    Lock lock(engine.mutex);
    const int code = engine.in_pusher.load(std::memory_order_relaxed) ? push_in_pusher(task, lock) : push_to_worker(task, lock, err);
    if (code) {
        lock.unlock();
        free_task(task);
    }
    return code;
}

int cymx_engine_wait_to_read(cymx_buffer *buffer, cymx_error *err) { return wait_for(buffer, false, err); }

int cymx_engine_wait_to_write(cymx_buffer *buffer, cymx_error *err) { return wait_for(buffer, true, err); }

int cymx_engine_wait_all(cymx_error *err) {
    if (task_depth) return fail(err, CYMX_FAILED, "a task waits for all tasks, itself among them; this would block for ever");
    Lock lock(engine.mutex);
    engine.idle.wait(lock, [] { return engine.pending == 0; });
    const int code = report_oldest(err);
    lock.unlock();
    return code ? code : wait_on_all_devices(err);
}
