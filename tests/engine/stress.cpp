// Stress of the engine without Python, for the sanitizers: random task graphs against a serial model, racing pushers, storage, and push overhead.
// Exits with 1 and says what differed.  Built and run by test_sanitizers.py; by hand: stress ROUNDS, or stress bench.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace {

using Random = std::mt19937;

void check(bool condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "stress: %s\n", what);
    exit(1);
}

int pick(Random &random, int n) { return static_cast<int>(random() % n); }

struct Buffers {
    explicit Buffers(int n) {
        for (int i = 0; i < n; ++i) {
            list.push_back(cymx_buffer_new(1, i % 3, sizeof(int64_t), nullptr));
            value(i) = i;
        }
    }
    ~Buffers() {
        for (cymx_buffer *buffer : list) cymx_buffer_release(buffer);
    }
    uint64_t &value(int i) { return *static_cast<uint64_t *>(list[i]->data); }
    std::vector<cymx_buffer *> list;
};

// ---- one pusher: every value and every error is as if the tasks had run one after the other ----

struct Step {
    std::vector<int> reads, writes;
    uint64_t number;
    bool fails;
    Buffers *buffers;
};

uint64_t result_of(const Step &step, uint64_t mix, int i) { return (mix * 31 + step.number) * 17 + i; }

int run_step(void *arg, cymx_error *err) {
    const Step &step = *static_cast<Step *>(arg);
    uint64_t mix = 7;
    for (int i : step.reads) mix = mix * 131 + step.buffers->value(i);
    for (int i : step.writes) step.buffers->value(i) = result_of(step, mix, i);
    if (!step.fails) return CYMX_OK;
    if (step.number % 2) throw std::runtime_error("thrown");
    err->code = CYMX_UNSUPPORTED;
    snprintf(err->message, sizeof err->message, "returned");
    return CYMX_FAILED;
}

void drop_step(void *arg) { delete static_cast<Step *>(arg); }

void serial_model(Random &random, int n_tasks) {
    constexpr int n = 9;
    Buffers buffers(n);
    std::vector<uint64_t> values(n);
    std::vector<std::string> errors(n);
    for (int i = 0; i < n; ++i) values[i] = i;
    int n_failed = 0;
    for (int number = 0; number < n_tasks; ++number) {
        Step *step = new Step{{}, {}, static_cast<uint64_t>(number), pick(random, 20) == 0, &buffers};
        for (int k = pick(random, 4); k > 0; --k) step->reads.push_back(pick(random, n)); // duplicates and overlaps are wanted
        for (int k = pick(random, 3); k > 0; --k) step->writes.push_back(pick(random, n));
        const std::string label = "step" + std::to_string(number);

        std::string error;
        uint64_t mix = 7;
        for (int i : step->reads) {
            if (error.empty()) error = errors[i];
            mix = mix * 131 + values[i];
        }
        const bool skipped = !error.empty();
        if (!skipped && step->fails) {
            error = label + (number % 2 ? ": thrown" : ": returned");
            ++n_failed;
        }
        for (int i : step->writes) {
            if (!skipped) values[i] = result_of(*step, mix, i);
            errors[i] = error;
        }

        std::vector<cymx_buffer *> reads, writes;
        for (int i : step->reads) reads.push_back(buffers.list[i]);
        for (int i : step->writes) writes.push_back(buffers.list[i]);
        const cymx_task task = {run_step,
                                drop_step,
                                step,
                                reads.data(),
                                writes.data(),
                                static_cast<int32_t>(reads.size()),
                                static_cast<int32_t>(writes.size()),
                                1,
                                pick(random, 3),
                                label.c_str(),
                                pick(random, 2) ? uint32_t{CYMX_TASK_SMALL} : 0,
                                0};
        check(cymx_engine_push(&task, nullptr) == CYMX_OK, "a push failed");
        if (pick(random, 10) == 0) {
            cymx_error err;
            const int i = pick(random, n);
            if (pick(random, 2)) {
                cymx_engine_drain(); // leaves the errors for the count below
            } else if (errors[i].empty()) {
                check(cymx_engine_wait_to_read(buffers.list[i], &err) == CYMX_OK, "a wait found an error where there is none");
                check(buffers.value(i) == values[i], "a value differs from the serial model's after a wait");
            }
        }
    }
    cymx_error err;
    int n_reported = 0;
    while (cymx_engine_wait_all(&err)) ++n_reported;
    check(n_reported == n_failed, "wait_all did not report every failed task once");
    for (int i = 0; i < n; ++i)
        for (int again = 0; again < 2; ++again) {
            const int code = again ? cymx_engine_wait_to_write(buffers.list[i], &err) : cymx_engine_wait_to_read(buffers.list[i], &err);
            check((code != CYMX_OK) == !errors[i].empty(), "poison differs from the serial model's");
            check(!code || errors[i] == err.message, "a message differs from the serial model's");
            check(code || buffers.value(i) == values[i], "a value differs from the serial model's");
        }
}

// ---- many pushers on the same buffers: writers alone, readers with readers only, each thread's own order kept, nothing lost ----

struct Shared {
    explicit Shared(int n) : buffers(n), inside(n), writes_done(n), last(n) {}
    Buffers buffers;
    std::vector<std::atomic<int>> inside; // readers, or -1 for a writer
    std::vector<int64_t> writes_done;     // guarded by the engine alone
    std::vector<std::vector<int64_t>> last;
    std::atomic<int64_t> n_written{0};
};

struct Racer {
    Shared *shared;
    int thread;
    int64_t number;  // 0: pushed by a task, so in no order
    int read, write; // -1: none
    bool nests, small;
};

void push_racer(const Racer &racer);

int run_racer(void *arg, cymx_error *) {
    const Racer &r = *static_cast<Racer *>(arg);
    Shared &s = *r.shared;
    if (r.read >= 0 && r.read != r.write) check(s.inside[r.read].fetch_add(1) >= 0, "a reader met a writer");
    if (r.write >= 0) {
        check(s.inside[r.write].exchange(-1) == 0, "a writer met somebody");
        ++s.writes_done[r.write];
        s.n_written.fetch_add(1);
        int64_t &last = s.last[r.write][r.thread];
        check(!r.number || r.number > last, "the tasks of one thread ran out of order");
        if (r.number) last = r.number;
    }
    if (r.nests) push_racer({&s, r.thread, 0, r.write, r.read, false, r.small}); // needs what this task holds
    if (r.write >= 0) s.inside[r.write].store(0);
    if (r.read >= 0 && r.read != r.write) s.inside[r.read].fetch_sub(1);
    return CYMX_OK;
}

void drop_racer(void *arg) { delete static_cast<Racer *>(arg); }

void push_racer(const Racer &racer) {
    cymx_buffer *reads[1], *writes[1];
    if (racer.read >= 0) reads[0] = racer.shared->buffers.list[racer.read];
    if (racer.write >= 0) writes[0] = racer.shared->buffers.list[racer.write];
    const bool copied = racer.number % 2;
    Racer here = racer;
    const cymx_task task = {run_racer,
                            copied ? nullptr : drop_racer,
                            copied ? &here : new Racer(racer),
                            reads,
                            writes,
                            racer.read >= 0,
                            racer.write >= 0,
                            1,
                            static_cast<int32_t>(racer.number % 3),
                            "racer",
                            racer.small ? uint32_t{CYMX_TASK_SMALL} : 0,
                            copied ? int32_t{sizeof(Racer)} : 0};
    check(cymx_engine_push(&task, nullptr) == CYMX_OK, "a push failed");
}

void racing_pushers(Random &random, int n_tasks) {
    constexpr int n = 3, n_threads = 4;
    Shared shared(n);
    for (auto &last : shared.last) last.assign(n_threads, 0);
    std::atomic<int64_t> n_expected{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < n_threads; ++t)
        threads.emplace_back([&, t, seed = random()] {
            Random own(seed);
            for (int number = 1; number <= n_tasks; ++number) {
                Racer racer{&shared, t, number, pick(own, n + 1) - 1, pick(own, n + 1) - 1, pick(own, 8) == 0, pick(own, 4) > 0};
                n_expected += (racer.write >= 0) + (racer.nests && racer.read >= 0);
                push_racer(racer);
                if (pick(own, 16) == 0) check(cymx_engine_wait_to_read(shared.buffers.list[pick(own, n)], nullptr) == CYMX_OK, "a wait failed");
                if (t == 0 && pick(own, 64) == 0) cymx_engine_set_type(pick(own, 2) ? "NaiveEngine" : "ThreadedEngine", nullptr);
            }
        });
    for (std::thread &thread : threads) thread.join();
    check(cymx_engine_wait_all(nullptr) == CYMX_OK, "an error came from nowhere");
    int64_t n_done = 0;
    for (int i = 0; i < n; ++i) {
        check(cymx_engine_wait_to_write(shared.buffers.list[i], nullptr) == CYMX_OK, "a wait failed");
        n_done += shared.writes_done[i];
    }
    check(n_done == n_expected && shared.n_written == n_expected, "a write was lost");
}

// ---- storage: blocks handed between threads are never shared, and the books balance ----

void storage(Random &random, int n_rounds) {
    constexpr int n_slots = 16, n_threads = 4, id = 7;
    std::atomic<cymx_buffer *> slots[n_slots] = {};
    std::vector<std::thread> threads;
    for (int t = 0; t < n_threads; ++t)
        threads.emplace_back([&, seed = random()] {
            Random own(seed);
            for (int i = 0; i < n_rounds; ++i) {
                const int64_t bytes = pick(own, 50) ? pick(own, 5000) : pick(own, 12 << 20);
                cymx_buffer *buffer = cymx_buffer_new(1, id, bytes, nullptr);
                check(buffer && buffer->data && reinterpret_cast<uintptr_t>(buffer->data) % 64 == 0, "a buffer is not aligned");
                const char mark = static_cast<char>(bytes);
                memset(buffer->data, mark, bytes < 5000 ? bytes : 5000);
                if (bytes) static_cast<char *>(buffer->data)[bytes - 1] = mark;
                cymx_buffer *old = slots[pick(own, n_slots)].exchange(buffer);
                if (!old) continue;
                const char *data = static_cast<const char *>(old->data);
                check(!old->bytes || (data[0] == static_cast<char>(old->bytes) && data[old->bytes - 1] == data[0]), "two buffers shared memory");
                cymx_buffer_retain(old);
                cymx_buffer_release(old);
                cymx_buffer_release(old);
            }
        });
    for (std::thread &thread : threads) thread.join();
    for (auto &slot : slots)
        if (slot) cymx_buffer_release(slot);
    cymx_storage_empty_cache(1, id);
    cymx_storage_stats stats;
    cymx_storage_get_stats(1, id, &stats);
    check(stats.live_bytes == 0 && stats.pooled_bytes == 0, "the storage's books do not balance");
    check(stats.n_pool_hits > 0 && stats.n_pool_hits < stats.n_alloc, "the pool was never used");
}

// ---- push overhead ----

int run_nothing(void *, cymx_error *) { return CYMX_OK; }

template <class F> double time_ns(int n, F &&body) {
    double best = 1e30;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < n; ++i) body();
        const double ns = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / n;
        if (ns < best) best = ns;
    }
    return best;
}

void bench() {
    Buffers buffers(3);
    cymx_task task = {run_nothing, nullptr, nullptr, buffers.list.data(), buffers.list.data() + 2, 2, 1, 1, 0, "nothing", CYMX_TASK_SMALL, 0};
    printf("push at once, 2 reads + 1 write   %7.1f ns\n", time_ns(2000000, [&] { cymx_engine_push(&task, nullptr); }));
    printf("wait_to_read of a free buffer     %7.1f ns\n", time_ns(2000000, [&] { cymx_engine_wait_to_read(buffers.list[0], nullptr); }));
    printf("buffer of 64 bytes, new + release %7.1f ns\n", time_ns(2000000, [&] { cymx_buffer_release(cymx_buffer_new(1, 0, 64, nullptr)); }));
    printf("buffer of 8 MiB, new + release    %7.1f ns\n", time_ns(200000, [&] { cymx_buffer_release(cymx_buffer_new(1, 0, 8 << 20, nullptr)); }));
    task.flags = 0;
    printf("push to a worker, with its run    %7.1f ns\n", time_ns(200000, [&] { cymx_engine_push(&task, nullptr); }));
    cymx_engine_drain();
}

} // namespace

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "bench") == 0) {
        bench();
        return 0;
    }
    const int rounds = argc > 1 ? atoi(argv[1]) : 10;
    Random random(1);
    for (int round = 0; round < rounds; ++round) {
        cymx_engine_set_queue_limit(round % 2 ? 1024 : 3, nullptr);
        cymx_engine_set_type(round % 3 == 2 ? "NaiveEngine" : "ThreadedEnginePerDevice", nullptr);
        serial_model(random, 200);
        racing_pushers(random, 200);
        storage(random, 300);
    }
    cymx_engine_set_type("ThreadedEnginePerDevice", nullptr);
    cymx_engine_shutdown();
    serial_model(random, 100); // the contract holds after the shutdown
    puts("stress: passed");
}
