// Queues a GPU plan's launches, or captures and replays them.  See plan.h.  Called by: cymx/gpu/_plan.pyx.
#include "gpu/plan.h"

#include "kept.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int32_t n_parts = 3;
constexpr uint64_t workspace_alignment = 256;
// The driver's own numbers.
constexpr unsigned stream_non_blocking = 1, event_disable_timing = 2;
constexpr int capture_thread_local = 1;

struct Patch { // an address that a run writes into a launch's arguments
    size_t at;
    int32_t slot;
    int64_t offset;
};

enum class Kind { kernel, fill, call };

struct Launch {
    Kind kind;
    void *function;
    uint32_t dims[6], shared_bytes;
    std::vector<uint64_t> block; // the arguments, each at a multiple of 16 bytes; of a call: its addresses
    std::vector<void *> arguments;
    std::vector<Patch> patches; // of a fill: its target; of a call: its operands, then its workspace
    int64_t fill_bytes;
    int32_t fill_value;
    cymx_gpu_call call;
};

struct Step {
    std::string label;
    int32_t lane;
    std::vector<int32_t> after;
    bool awaited; // whether a later step of another lane waits for it
    std::vector<Launch> launches;
    cymx::Sources sources; // of a step whose outputs are kept
};

struct Part {
    std::vector<uint64_t> slots; // where the last run was
    void *graph;
    bool refused; // a capture failed: this part is queued launch by launch
};

uint64_t address(const Patch &patch, const uint64_t *slots) { return slots[patch.slot] + patch.offset; }

int queue_call(Launch &launch, void *stream, const uint64_t *slots) {
    std::transform(launch.patches.begin(), launch.patches.end(), launch.block.begin(), [&](const Patch &patch) { return address(patch, slots); });
    launch.block.back() = (launch.block.back() + workspace_alignment - 1) / workspace_alignment * workspace_alignment;
    return launch.call.run(launch.call.self, launch.block.data(), stream);
}

int queue_kernel(Launch &launch, const cymx_driver *driver, void *stream, const uint64_t *slots) {
    char *block = reinterpret_cast<char *>(launch.block.data());
    for (const Patch &patch : launch.patches) {
        const uint64_t where = address(patch, slots);
        std::memcpy(block + patch.at, &where, sizeof where);
    }
    const uint32_t *d = launch.dims;
    return driver->cuLaunchKernel(launch.function, d[0], d[1], d[2], d[3], d[4], d[5], launch.shared_bytes, stream, launch.arguments.data(), nullptr);
}

int queue(Launch &launch, const cymx_driver *driver, void *stream, const uint64_t *slots) {
    switch (launch.kind) {
    case Kind::kernel: return queue_kernel(launch, driver, stream, slots);
    case Kind::call: return queue_call(launch, stream, slots);
    default:
        return driver->cuMemsetD8Async(address(launch.patches[0], slots), static_cast<unsigned char>(launch.fill_value), launch.fill_bytes, stream);
    }
}

// Streams and events that exist while a plan is captured.
struct Capture {
    const cymx_driver *driver;
    std::vector<void *> streams, events;

    explicit Capture(const cymx_driver *driver) : driver(driver) {}
    Capture(const Capture &) = delete;
    ~Capture() {
        for (void *event : events) driver->cuEventDestroy(event);
        for (void *stream : streams) driver->cuStreamDestroy(stream);
    }
    int open(int32_t n_lanes) {
        for (int32_t i = 0; i < n_lanes; ++i) {
            void *stream = nullptr;
            if (const int code = driver->cuStreamCreate(&stream, stream_non_blocking)) return code;
            streams.push_back(stream);
        }
        return 0;
    }
    // Records an event behind what a lane holds.
    int record(int32_t lane, void **event) {
        if (const int code = driver->cuEventCreate(event, event_disable_timing)) return code;
        events.push_back(*event);
        return driver->cuEventRecord(*event, streams[lane]);
    }
};

} // namespace

struct cymx_gpu_plan {
    std::atomic<int64_t> references{1};
    int32_t n_slots = 0, n_lanes = 1;
    bool replays = false;
    std::vector<Step> steps;
    Part parts[n_parts] = {};

    int run_step(const cymx_driver *driver, void *stream, Step &step, const uint64_t *slots, bool waits, const char **label) {
        *label = step.label.c_str();
        for (Launch &launch : step.launches) {
            if (const int code = queue(launch, driver, stream, slots)) return code;
        }
        return waits ? driver->cuStreamSynchronize(stream) : 0;
    }

    // Queues the steps, but for kept ones whose variables nobody wrote since.
    int run(const cymx_driver *driver, void *stream, int32_t start, int32_t stop, const uint64_t *slots, const cymx_buffer *const *buffers,
            bool waits, const char **label) {
        for (int32_t i = start; i < stop; ++i) {
            Step &step = steps[i];
            if (step.sources && step.sources.unchanged(buffers)) continue;
            if (const int code = run_step(driver, stream, step, slots, waits, label)) return code;
            step.sources.note(buffers);
        }
        return 0;
    }

    // Queues the steps on the lanes: a lane joins the capture by the first event that it waits for, and leaves it by the one that lane 0 waits for.
    int fork_and_join(Capture &capture, int32_t start, int32_t stop, const uint64_t *slots, const char **label) {
        const cymx_driver *driver = capture.driver;
        std::vector<void *> done(steps.size(), nullptr);
        std::vector<bool> joined(n_lanes, false);
        joined[0] = true;
        void *fork = nullptr;
        if (const int code = capture.record(0, &fork)) return code;
        for (int32_t i = start; i < stop; ++i) {
            Step &step = steps[i];
            void *stream = capture.streams[step.lane];
            *label = step.label.c_str();
            if (!joined[step.lane]) {
                if (const int code = driver->cuStreamWaitEvent(stream, fork, 0)) return code;
                joined[step.lane] = true;
            }
            for (int32_t before : step.after) {
                if (before < start) continue;
                if (const int code = driver->cuStreamWaitEvent(stream, done[before], 0)) return code;
            }
            for (Launch &launch : step.launches) {
                if (const int code = queue(launch, driver, stream, slots)) return code;
            }
            if (step.awaited) {
                if (const int code = capture.record(step.lane, &done[i])) return code;
            }
        }
        for (int32_t lane = 1; lane < n_lanes; ++lane) {
            void *end = nullptr;
            if (!joined[lane]) continue;
            if (const int code = capture.record(lane, &end)) return code;
            if (const int code = driver->cuStreamWaitEvent(capture.streams[0], end, 0)) return code;
        }
        return 0;
    }

    int capture(const cymx_driver *driver, int32_t start, int32_t stop, const uint64_t *slots, void **executable) {
        Capture capture(driver);
        const char *label = nullptr;
        void *graph = nullptr;
        if (const int code = capture.open(n_lanes)) return code;
        if (const int code = driver->cuStreamBeginCapture(capture.streams[0], capture_thread_local)) return code;
        const int queued = fork_and_join(capture, start, stop, slots, &label);
        const int ended = driver->cuStreamEndCapture(capture.streams[0], &graph); // also after a failure, which it ends
        int code = queued ? queued : ended;
        if (!code) code = driver->cuGraphInstantiateWithFlags(executable, graph, 0);
        if (graph) driver->cuGraphDestroy(graph);
        return code;
    }
};

extern "C" cymx_gpu_plan *cymx_gpu_plan_new(int32_t n_slots, int32_t n_lanes, int replays) {
    cymx_gpu_plan *plan = new cymx_gpu_plan;
    plan->n_slots = n_slots;
    plan->n_lanes = n_lanes;
    plan->replays = replays;
    return plan;
}

extern "C" void cymx_gpu_plan_retain(cymx_gpu_plan *plan) { plan->references.fetch_add(1, std::memory_order_relaxed); }

extern "C" void cymx_gpu_plan_release(cymx_gpu_plan *plan, const cymx_driver *driver) {
    if (plan->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    for (const Part &part : plan->parts) {
        if (part.graph && driver) driver->cuGraphExecDestroy(part.graph);
    }
    for (const Step &step : plan->steps) {
        for (const Launch &launch : step.launches) {
            if (launch.kind == Kind::call) launch.call.drop(launch.call.self);
        }
    }
    delete plan;
}

extern "C" void cymx_gpu_plan_step(cymx_gpu_plan *plan, const char *label, int32_t lane, const int32_t *after, int32_t n_after) {
    for (int32_t i = 0; i < n_after; ++i) plan->steps[after[i]].awaited = true;
    plan->steps.push_back(Step{label, lane, {after, after + n_after}, false, {}, {}});
}

extern "C" void cymx_gpu_plan_keep(cymx_gpu_plan *plan, const int32_t *sources, int32_t n_sources) {
    plan->steps.back().sources = cymx::Sources(sources, n_sources);
}

extern "C" void cymx_gpu_plan_launch(cymx_gpu_plan *plan, void *function, const uint32_t *dims, uint32_t shared_bytes, const cymx_gpu_arg *args,
                                     int32_t n_args) {
    Launch launch{Kind::kernel, function, {}, shared_bytes, {}, {}, {}, 0, 0, {}};
    std::memcpy(launch.dims, dims, sizeof launch.dims);
    std::vector<size_t> places;
    size_t bytes = 0;
    for (int32_t i = 0; i < n_args; ++i) {
        places.push_back(bytes);
        bytes += ((args[i].slot < 0 ? args[i].bytes : sizeof(uint64_t)) + 15) / 16 * 16;
    }
    launch.block.resize(bytes / sizeof(uint64_t) + 1);
    char *block = reinterpret_cast<char *>(launch.block.data());
    for (int32_t i = 0; i < n_args; ++i) {
        if (args[i].slot < 0) {
            std::memcpy(block + places[i], args[i].value, args[i].bytes);
        } else {
            launch.patches.push_back(Patch{places[i], args[i].slot, args[i].offset});
        }
        launch.arguments.push_back(block + places[i]); // the block keeps its memory when the launch moves
    }
    plan->steps.back().launches.push_back(std::move(launch));
}

extern "C" void cymx_gpu_plan_fill(cymx_gpu_plan *plan, int32_t slot, int64_t offset, int64_t bytes, int32_t value) {
    plan->steps.back().launches.push_back(Launch{Kind::fill, nullptr, {}, 0, {}, {}, {Patch{0, slot, offset}}, bytes, value, {}});
}

extern "C" void cymx_gpu_plan_call(cymx_gpu_plan *plan, cymx_gpu_call call, const cymx_gpu_arg *args, int32_t n_args) {
    Launch launch{Kind::call, nullptr, {}, 0, {}, {}, {}, 0, 0, call};
    for (int32_t i = 0; i < n_args; ++i) launch.patches.push_back(Patch{0, args[i].slot, args[i].offset});
    launch.block.resize(n_args);
    plan->steps.back().launches.push_back(std::move(launch));
}

extern "C" int cymx_gpu_plan_run(cymx_gpu_plan *plan, const cymx_driver *driver, void *stream, int32_t which, int32_t start, int32_t stop,
                                 const uint64_t *slots, const cymx_buffer *const *buffers, int waits, const char **label) {
    Part &part = plan->parts[which];
    *label = "";
    if (!plan->replays || part.refused || waits) return plan->run(driver, stream, start, stop, slots, buffers, waits, label);
    const bool again = std::equal(slots, slots + plan->n_slots, part.slots.begin(), part.slots.end());
    if (!again) { // the first run here loads kernels and makes workspaces; the next one may be captured
        if (part.graph) driver->cuGraphExecDestroy(part.graph);
        part.graph = nullptr;
        part.slots.assign(slots, slots + plan->n_slots);
        return plan->run(driver, stream, start, stop, slots, buffers, false, label);
    }
    if (!part.graph && plan->capture(driver, start, stop, slots, &part.graph)) {
        part.refused = true;
        part.graph = nullptr;
        return plan->run(driver, stream, start, stop, slots, buffers, false, label);
    }
    *label = "graph";
    return driver->cuGraphLaunch(part.graph, stream);
}

extern "C" int cymx_gpu_plan_captured(const cymx_gpu_plan *plan, int32_t part) { return plan->parts[part].graph != nullptr; }
