// Runs a kernel on the CPU: blocks one after another, the threads of a block as fibers that change only where CUDA lets threads wait.
//
// The order of threads (forward, reverse, random) decides who runs next, so a missing barrier gives a wrong result in one of them.  Shared memory is
// poisoned before each block.  Refuses launches that a GPU would refuse.  Called by: emulator/__init__.py (ctypes) and the emulated driver.
#include "launcher.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

// Saves the registers that a function keeps, on the old stack, and takes those of another.
extern "C" void emulator_switch(void **save, void *to);
#if defined(__x86_64__)
asm(R"(.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch,@function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp,(%rdi)
    movq %rsi,%rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch,.-emulator_switch
)");
constexpr size_t saved_words = 6;
#elif defined(__aarch64__)
asm(R"(.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch,%function
emulator_switch:
    sub sp,sp,#160
    stp x29,x30,[sp]
    stp x19,x20,[sp,#16]
    stp x21,x22,[sp,#32]
    stp x23,x24,[sp,#48]
    stp x25,x26,[sp,#64]
    stp x27,x28,[sp,#80]
    stp d8,d9,[sp,#96]
    stp d10,d11,[sp,#112]
    stp d12,d13,[sp,#128]
    stp d14,d15,[sp,#144]
    mov x9,sp
    str x9,[x0]
    mov sp,x1
    ldp x29,x30,[sp]
    ldp x19,x20,[sp,#16]
    ldp x21,x22,[sp,#32]
    ldp x23,x24,[sp,#48]
    ldp x25,x26,[sp,#64]
    ldp x27,x28,[sp,#80]
    ldp d8,d9,[sp,#96]
    ldp d10,d11,[sp,#112]
    ldp d12,d13,[sp,#128]
    ldp d14,d15,[sp,#144]
    add sp,sp,#160
    ret
)");
#else
#error "write emulator_switch for this processor"
#endif

namespace emulator {

Block block;

namespace {

enum Order { FORWARD, REVERSE, RANDOM };

constexpr size_t stack_bytes = 256 << 10, guard_bytes = 4 << 10, max_threads = 1024;
constexpr unsigned char poison = 0xCB;
constexpr u32 max_static_shared = 48 << 10, max_shared = 227 << 10;

struct Launch { // the one that runs
    const Kernel *kernel;
    void **params;
    Order order;
    u64 random;
    u32 n_warps, n_alive, n_at_barrier;
    u32 ready_warps; // those with a ready lane
    void *launcher;  // its stack
    std::string error;
};
Launch now;
Fiber fibers[max_threads];
char *stacks;
std::mutex one_at_a_time;

u32 pick(u32 candidates) {
    if (now.order == FORWARD) return (u32)__builtin_ctz(candidates);
    if (now.order == REVERSE) return 31 - (u32)__builtin_clz(candidates);
    now.random = now.random * 6364136223846793005ull + 1442695040888963407ull;
    for (u32 skip = (u32)(now.random >> 33) % (u32)__builtin_popcount(candidates); skip; --skip) candidates &= candidates - 1;
    return (u32)__builtin_ctz(candidates);
}

// Leaves the running thread for another that is ready, or for the launcher when there is none.
void leave(void **save) {
    if (!now.ready_warps) return emulator_switch(save, now.launcher);
    u32 w = block.current->number >> 5;
    if (!(now.ready_warps >> w & 1) || now.order == RANDOM) w = pick(now.ready_warps);
    Warp &warp = block.warps[w];
    u32 lane = pick(warp.ready);
    warp.ready &= ~(1u << lane);
    if (!warp.ready) now.ready_warps &= ~(1u << w);
    Fiber *next = &fibers[w * 32 + lane];
    if (next == block.current && save == &next->stack) return;
    block.current = next;
    emulator_switch(save, next->stack);
}

void open_barrier() {
    block.barrier_any = block.any, block.barrier_all = block.all, block.barrier_count = block.count;
    block.any = 0, block.all = 1, block.count = 0;
    now.n_at_barrier = 0;
    for (u32 i = 0; i < now.n_warps; ++i) {
        Warp &w = block.warps[i];
        w.ready |= w.at_barrier;
        w.at_barrier = 0;
        if (w.ready) now.ready_warps |= 1u << i;
    }
}

void thread_main() {
    now.kernel->entry(now.params);
    Warp &w = warp();
    u32 bit = 1u << lane();
    w.gone |= bit;
    --now.n_alive;
    for (u32 waiting = w.at_exchange; waiting; waiting &= waiting - 1)
        if (w.mask[__builtin_ctz(waiting)] & bit) fail("a lane ends while others of its warp wait for it");
    if (now.n_at_barrier && now.n_at_barrier == now.n_alive) open_barrier();
    void *unused;
    leave(&unused);
    __builtin_unreachable();
}

void *fresh_stack(u32 thread) {
    void **top = reinterpret_cast<void **>(stacks + (thread + 1) * stack_bytes);
#if defined(__x86_64__)
    *--top = nullptr; // where thread_main would return to
    *--top = reinterpret_cast<void *>(thread_main);
    top -= saved_words;
    memset(top, 0, saved_words * sizeof(void *));
#else
    top -= 20;
    memset(top, 0, 20 * sizeof(void *));
    top[1] = reinterpret_cast<void *>(thread_main);
#endif
    return top;
}

void make_stacks() {
    if (stacks) return;
    void *memory = mmap(nullptr, max_threads * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) abort();
    stacks = static_cast<char *>(memory);
    for (size_t i = 0; i < max_threads; ++i) mprotect(stacks + i * stack_bytes, guard_bytes, PROT_NONE);
}

void run_block(u32 n_threads) {
    now.n_alive = n_threads;
    now.n_at_barrier = 0;
    now.n_warps = n_threads / 32;
    now.ready_warps = now.n_warps == 32 ? ~0u : (1u << now.n_warps) - 1;
    block.any = 0, block.all = 1, block.count = 0;
    for (u32 i = 0; i < now.n_warps; ++i) {
        Warp &w = block.warps[i];
        w.ready = ~0u;
        w.at_barrier = w.at_exchange = w.gone = 0;
    }
    for (u32 i = 0; i < n_threads; ++i) fibers[i].stack = fresh_stack(i);
    block.current = &fibers[now.order == REVERSE ? n_threads - 1 : 0];
    leave(&now.launcher);
    if (now.n_alive && now.error.empty()) {
        block.current = nullptr;
        now.error = std::to_string(now.n_alive) + " threads wait at barriers that the others of their block never reach";
    }
}

std::string place(const uint3 &at) { return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")"; }

std::string refused(const Kernel &kernel, const dim3 &grid, const dim3 &size, u64 dynamic_bytes) {
    u64 n = (u64)size.x * size.y * size.z, static_bytes = (u64)(kernel.shared_end - kernel.shared);
    if (!n || n > max_threads || size.z > 64) return "a block of " + std::to_string(n) + " threads; 1 to 1024 can be, and 64 along z";
    if (n % 32) return "a block of " + std::to_string(n) + " threads; cymx launches whole warps of 32";
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        return "a grid of (" + std::to_string(grid.x) + ", " + std::to_string(grid.y) + ", " + std::to_string(grid.z) + ") blocks";
#ifndef EMULATOR_SANITIZED // redzones lie between arrays; else up to 32 bytes before the first
    if (static_bytes > max_static_shared + 32) return std::to_string(static_bytes) + " bytes of static shared memory; 49152 can be";
#endif
    if (static_bytes + dynamic_bytes > max_shared) return std::to_string(static_bytes + dynamic_bytes) + " bytes of shared memory; 232448 can be";
    return "";
}

void say(char *error, size_t n, const std::string &what) { snprintf(error, n, "%s", what.c_str()); }

} // namespace

void fail(const char *what) {
    if (now.error.empty()) now.error = std::string(what) + ", in block " + place(block.index) + ", thread " + place(block.current->index);
    void *unused;
    emulator_switch(&unused, now.launcher);
    __builtin_unreachable();
}

void barrier() {
    warp().at_barrier |= 1u << lane();
    if (++now.n_at_barrier == now.n_alive) open_barrier();
    leave(&block.current->stack);
}

void exchange(u32 mask) {
    Warp &w = warp();
    u32 bit = 1u << lane();
    if (mask & w.gone) fail("a warp function names a lane that has ended");
    w.mask[lane()] = mask;
    w.at_exchange |= bit;
    if ((w.at_exchange & mask) != mask) return leave(&block.current->stack);
    u32 votes = 0;
    for (u32 m = mask; m; m &= m - 1) {
        u32 i = (u32)__builtin_ctz(m);
        if (w.mask[i] != mask) fail("lanes that meet in a warp function name different masks");
        if ((w.source[i] == no_lane) != (w.source[lane()] == no_lane)) fail("lanes of a warp meet in different warp functions");
        votes |= (u32)(w.value[i] & 1) << i;
    }
    for (u32 m = mask; m; m &= m - 1) {
        u32 i = (u32)__builtin_ctz(m);
        w.result[i] = w.source[i] == no_lane ? votes : w.value[w.source[i]];
    }
    w.at_exchange &= ~mask;
    w.ready |= mask & ~bit; // the last one goes on at once
    if (w.ready) now.ready_warps |= 1u << (block.current->number >> 5);
}

} // namespace emulator

using namespace emulator;

extern "C" {
void *emulator_load(const void *code, size_t n, char *error, size_t error_bytes) {
    const char *folder = getenv("TMPDIR");
    std::string path = std::string(folder ? folder : "/tmp") + "/cymx-kernel-XXXXXX";
    int file = mkstemp(path.data()); // dlopen knows images by name, so each gets one of its own
    bool written = file >= 0 && write(file, code, n) == (ssize_t)n;
    if (file >= 0) close(file);
    void *image = written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (!image) say(error, error_bytes, written ? dlerror() : "no file can be written at " + path);
#ifndef EMULATOR_SANITIZED // reports name lines that are looked up in the file
    unlink(path.c_str());
#endif
    return image;
}
const Kernel *emulator_find(void *image, const char *symbol) {
    return static_cast<const Kernel *>(dlsym(image, (std::string(symbol) + "_kernel").c_str()));
}

int emulator_refuses(const Kernel *kernel, const u32 *grid, const u32 *size, u32 dynamic_bytes, char *error, size_t error_bytes) {
    std::string reason = refused(*kernel, {grid[0], grid[1], grid[2]}, {size[0], size[1], size[2]}, dynamic_bytes);
    if (reason.empty()) return 0;
    return say(error, error_bytes, std::string(kernel->name) + ": " + reason), 1;
}

int emulator_launch(const Kernel *kernel, const u32 *grid, const u32 *size, u32 dynamic_bytes, void **params, int order, char *error,
                    size_t error_bytes) {
    std::lock_guard<std::mutex> lock(one_at_a_time);
    if (emulator_refuses(kernel, grid, size, dynamic_bytes, error, error_bytes)) return 1;
    dim3 blocks{grid[0], grid[1], grid[2]}, threads{size[0], size[1], size[2]};
    make_stacks();
    now.kernel = kernel, now.params = params, now.order = (Order)order, now.random = 88172645463325252ull, now.error.clear();
    block.size = threads, block.grid = blocks;
    block.dynamic_shared = dynamic_bytes ? aligned_alloc(128, (dynamic_bytes + 127) / 128 * 128) : nullptr;
    u32 n_threads = threads.x * threads.y * threads.z;
    for (u32 i = 0; i < n_threads; ++i) fibers[i] = {nullptr, {i % threads.x, i / threads.x % threads.y, i / (threads.x * threads.y)}, i};
    u64 n_blocks = (u64)blocks.x * blocks.y * blocks.z;
    for (u64 i = 0; i < n_blocks && now.error.empty(); ++i) {
        u64 b = order == REVERSE ? n_blocks - 1 - i : i;
        block.index = {(u32)(b % blocks.x), (u32)(b / blocks.x % blocks.y), (u32)(b / ((u64)blocks.x * blocks.y))};
        if (dynamic_bytes) memset(block.dynamic_shared, poison, dynamic_bytes);
#ifndef EMULATOR_SANITIZED
        memset(kernel->shared, poison, (size_t)(kernel->shared_end - kernel->shared));
#endif
        run_block(n_threads);
    }
    free(block.dynamic_shared);
    if (now.error.empty()) return 0;
    return say(error, error_bytes, std::string(kernel->name) + ": " + now.error), 2;
}
}
