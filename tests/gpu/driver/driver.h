// The state of the emulated driver: devices, streams that run late, events, memory, graphs, and what tests may change of them.
//
// A stream's work waits in its queue until something that the host does needs it, so a wait that was forgotten gives a wrong answer every time.  All of it
// lies under one lock.  Handles are pointers to these objects, which are never freed, so one that was destroyed is known as such.  Types and numbers are those of
// CUDA 12 and 13, by hand.  Read by: the files of this folder.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "../emulator/launcher.h"

#define DRIVER extern "C" EMULATOR_API int

namespace driver {

using Address = uint64_t;

enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    ILLEGAL_STATE = 401,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    PEER_ACCESS_ALREADY_ENABLED = 704,
    PEER_ACCESS_NOT_ENABLED = 705,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_UNJOINED = 904,
    CAPTURE_ISOLATION = 905,
    CAPTURED_EVENT = 907,
    GRAPH_UPDATE_FAILURE = 910,
};

using Run = std::function<int()>;

struct Node { // of a graph
    std::string kind;
    Run run;
    std::vector<size_t> after;
};
using Nodes = std::vector<Node>;

struct Graph {
    Nodes nodes;
};
struct Executable { // a launch in a queue keeps the nodes that it was made with
    std::shared_ptr<const Nodes> nodes;
};

struct Stream;
struct Capture {
    Graph *graph;
    Stream *origin;
    bool invalid = false;
    std::vector<Stream *> streams;
};

struct Pool {
    int device = 0;
    uint64_t release_threshold = 0, used = 0, reserved = 0, used_high = 0, reserved_high = 0;
};

struct Device { // and its primary context
    int number = 0;
    int retained = 0, sticky = 0;
    uint64_t allocated = 0; // outside the pools
    std::set<int> peers;
    std::vector<Stream *> streams;
    std::vector<Pool *> pools;
    Stream *null_stream = nullptr;
    Pool *pool = nullptr;
};

struct Stream {
    Device *device = nullptr;
    unsigned flags = 0;
    int priority = 0;
    std::deque<Run> queue;
    uint64_t n_put = 0, n_run = 0; // positions: the work of position p is done when n_run >= p
    bool running = false;
    int n_queries = 0;
    std::shared_ptr<Capture> capture;
    std::vector<size_t> tail; // the nodes that the next one follows
};

struct Event {
    Device *device = nullptr;
    unsigned flags = 0;
    Stream *stream = nullptr; // of the last record
    uint64_t position = 0;
    int64_t time_ns = 0;
    int n_queries = 0;
    std::shared_ptr<Capture> capture;
    std::vector<size_t> tail;
};

struct Function {
    const emulator::Kernel *kernel;
    std::string symbol;
    unsigned max_dynamic_shared = 48 << 10;
};
struct Module {
    void *image;
    std::map<std::string, Function *> functions;
};

struct Allocation {
    size_t n_bytes;
    int device; // -1 is pinned host memory
    Pool *pool;
    bool registered, being_freed;
};

struct Settings { // what tests may change
    uint64_t n_devices = 2, memory_bytes = 4ull << 30, lazy = 1, order = 0, version = 13000, arch = 90, peers = 1;
};

struct Fault {
    int result;
    uint64_t after, times;
};

struct State {
    std::recursive_mutex lock;
    Settings settings;
    int process = 0; // that called cuInit
    std::vector<Device *> devices;
    std::map<Address, Allocation> memory;
    std::set<const void *> handles;
    std::map<std::string, uint64_t> n_calls;
    std::map<std::string, Fault> faults;
    std::string last_failure; // what the emulator said
};
State &state();

// The lock, the count and the injected failure of one call: result is what the call must return at once, if not 0.
struct Call {
    explicit Call(const char *name, bool needs_init = true);
    std::lock_guard<std::recursive_mutex> guard;
    int result;
};
#define CALL(name)            \
    driver::Call call_(name); \
    if (call_.result) return call_.result

int fault(const std::string &name); // the injected result of the next call or run of that name, or 0
Device *current();                  // of the calling thread, or null
int usable(Device *device);         // 0, or why its context cannot be used

template <class T> T *made(T *object) {
    state().handles.insert(object);
    return object;
}
template <class T> T *known(void *handle) { return state().handles.count(handle) ? static_cast<T *>(handle) : nullptr; }

Stream *stream_of(void *handle); // 0, 1 and 2 are the current device's null stream
int put(Stream *stream, const char *kind, Run run);
int drain(Stream *stream, uint64_t until = ~0ull);
int drain_all(Device *device);
int refuse_in_capture(); // what calls that would wait must return while anything is captured: 0, or the error

constexpr unsigned char FRESH = 0xCB, FREED = 0xDD;
const std::pair<const Address, Allocation> *find(Address address); // the allocation that holds it, or null

} // namespace driver
