// The emulated driver's devices and contexts, its modules and launches, its errors, and the functions by which tests control it.
#include "driver.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

namespace driver {

State &state() {
    static State *all = new State;
    return *all;
}

namespace {

thread_local std::vector<Device *> context_stack;

const std::map<int, std::pair<const char *, const char *>> error_texts = {
    {SUCCESS, {"CUDA_SUCCESS", "no error"}},
    {INVALID_VALUE, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
    {OUT_OF_MEMORY, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
    {NOT_INITIALIZED, {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"}},
    {NO_DEVICE, {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"}},
    {INVALID_DEVICE, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
    {INVALID_IMAGE, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
    {INVALID_CONTEXT, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
    {INVALID_HANDLE, {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}},
    {ILLEGAL_STATE, {"CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"}},
    {NOT_FOUND, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
    {NOT_READY, {"CUDA_ERROR_NOT_READY", "device not ready"}},
    {ILLEGAL_ADDRESS, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
    {PEER_ACCESS_ALREADY_ENABLED, {"CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access is already enabled"}},
    {PEER_ACCESS_NOT_ENABLED, {"CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "peer access has not been enabled"}},
    {LAUNCH_FAILED, {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}},
    {NOT_SUPPORTED, {"CUDA_ERROR_NOT_SUPPORTED", "operation not supported"}},
    {803, {"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"}},
    {804, {"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "forward compatibility was attempted on non supported HW"}},
    {CAPTURE_UNSUPPORTED, {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"}},
    {CAPTURE_INVALIDATED, {"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"}},
    {CAPTURE_UNMATCHED, {"CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not initiated in this stream"}},
    {CAPTURE_UNJOINED, {"CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"}},
    {CAPTURE_ISOLATION, {"CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"}},
    {CAPTURED_EVENT, {"CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"}},
    {GRAPH_UPDATE_FAILURE,
     {"CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "the graph update was not performed because it included changes which violated constraints"}},
};

void make_devices() {
    State &all = state();
    while (all.devices.size() < all.settings.n_devices) {
        Device *device = made(new Device);
        device->number = (int)all.devices.size();
        device->null_stream = made(new Stream);
        device->null_stream->device = device;
        device->streams.push_back(device->null_stream);
        device->pool = made(new Pool);
        device->pool->device = device->number;
        device->pools.push_back(device->pool);
        all.devices.push_back(device);
    }
}

Device *device_at(int number) { return number >= 0 && (uint64_t)number < state().settings.n_devices ? state().devices[(size_t)number] : nullptr; }

int attribute(int which) { // the numbers of CUdevice_attribute
    int arch = (int)state().settings.arch;
    switch (which) {
    case 1: return 1024; // threads a block
    case 2:
    case 3: return 1024;       // along x, y
    case 4: return 64;         // along z
    case 5: return 0x7fffffff; // blocks along x
    case 6:
    case 7: return 65535;      // along y, z
    case 8: return 48 << 10;   // shared memory a block
    case 10: return 32;        // lanes of a warp
    case 12: return 65536;     // registers a block
    case 13: return 1500000;   // kHz
    case 14: return 512;       // alignment of textures
    case 16: return 4;         // multiprocessors
    case 39: return 2048;      // threads a multiprocessor
    case 40: return 2;         // copy engines
    case 75: return arch / 10; // compute capability
    case 76: return arch % 10;
    case 81: return 228 << 10; // shared memory a multiprocessor
    case 97: return 227 << 10; // shared memory a block that asks for it
    case 18:
    case 20:
    case 21: return 0; // integrated, exclusive
    default: return 1;
    }
}

} // namespace

int fault(const std::string &name) {
    auto found = state().faults.find(name);
    if (found == state().faults.end()) return 0;
    Fault &f = found->second;
    if (f.after) return --f.after, 0;
    if (!f.times) return 0;
    --f.times;
    return f.result;
}

Call::Call(const char *name, bool needs_init) : guard(state().lock), result(0) {
    ++state().n_calls[name];
    result = fault(name);
    if (!result && needs_init && state().process != (int)getpid()) result = NOT_INITIALIZED; // never, or in a parent that forked
}

Device *current() { return context_stack.empty() ? nullptr : context_stack.back(); }

int usable(Device *device) {
    if (!device || !device->retained) return INVALID_CONTEXT;
    return device->sticky;
}

} // namespace driver

using namespace driver;

DRIVER cuInit(unsigned flags) {
    Call call("cuInit", false);
    if (call.result) return call.result;
    if (flags) return INVALID_VALUE;
    if (!state().settings.n_devices) return NO_DEVICE;
    if (state().process && state().process != (int)getpid()) return NOT_INITIALIZED;
    state().process = (int)getpid();
    make_devices();
    return SUCCESS;
}
DRIVER cuDriverGetVersion(int *version) {
    Call call("cuDriverGetVersion", false);
    *version = (int)state().settings.version;
    return call.result;
}
DRIVER cuDeviceGetCount(int *n) {
    CALL("cuDeviceGetCount");
    *n = (int)state().settings.n_devices;
    return SUCCESS;
}
DRIVER cuDeviceGet(int *device, int number) {
    CALL("cuDeviceGet");
    *device = number;
    return device_at(number) ? SUCCESS : INVALID_DEVICE;
}
DRIVER cuDeviceGetName(char *name, int n, int device) {
    CALL("cuDeviceGetName");
    if (!device_at(device)) return INVALID_DEVICE;
    return snprintf(name, (size_t)n, "cymx emulated device %d", device), SUCCESS;
}
DRIVER cuDeviceGetUuid_v2(void *uuid, int device) {
    CALL("cuDeviceGetUuid");
    return device_at(device) ? (memset(uuid, device + 1, 16), SUCCESS) : INVALID_DEVICE;
}
DRIVER cuDeviceGetPCIBusId(char *text, int n, int device) {
    CALL("cuDeviceGetPCIBusId");
    return device_at(device) ? (snprintf(text, (size_t)n, "0000:%02x:00.0", device + 1), SUCCESS) : INVALID_DEVICE;
}
DRIVER cuDeviceTotalMem_v2(size_t *n, int device) {
    CALL("cuDeviceTotalMem");
    *n = state().settings.memory_bytes;
    return device_at(device) ? SUCCESS : INVALID_DEVICE;
}
DRIVER cuDeviceGetAttribute(int *value, int which, int device) {
    CALL("cuDeviceGetAttribute");
    *value = attribute(which);
    return device_at(device) ? SUCCESS : INVALID_DEVICE;
}
DRIVER cuDeviceCanAccessPeer(int *can, int device, int peer) {
    CALL("cuDeviceCanAccessPeer");
    *can = device != peer && state().settings.peers;
    return device_at(device) && device_at(peer) ? SUCCESS : INVALID_DEVICE;
}

DRIVER cuDevicePrimaryCtxRetain(void **context, int device) {
    CALL("cuDevicePrimaryCtxRetain");
    Device *d = device_at(device);
    if (!d) return INVALID_DEVICE;
    ++d->retained;
    *context = d;
    return SUCCESS;
}
DRIVER cuDevicePrimaryCtxRelease_v2(int device) {
    CALL("cuDevicePrimaryCtxRelease");
    Device *d = device_at(device);
    if (!d || !d->retained) return d ? INVALID_CONTEXT : INVALID_DEVICE;
    --d->retained;
    return SUCCESS;
}
DRIVER cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    CALL("cuDevicePrimaryCtxGetState");
    Device *d = device_at(device);
    if (!d) return INVALID_DEVICE;
    *flags = 0, *active = d->retained > 0;
    return SUCCESS;
}
DRIVER cuDevicePrimaryCtxSetFlags_v2(int device, unsigned) {
    CALL("cuDevicePrimaryCtxSetFlags");
    return device_at(device) ? SUCCESS : INVALID_DEVICE;
}
DRIVER cuCtxGetCurrent(void **context) {
    CALL("cuCtxGetCurrent");
    *context = current();
    return SUCCESS;
}
DRIVER cuCtxSetCurrent(void *context) {
    CALL("cuCtxSetCurrent");
    if (context && !known<Device>(context)) return INVALID_CONTEXT;
    if (!context_stack.empty()) context_stack.pop_back();
    if (context) context_stack.push_back(static_cast<Device *>(context));
    return SUCCESS;
}
DRIVER cuCtxPushCurrent_v2(void *context) {
    CALL("cuCtxPushCurrent");
    if (!known<Device>(context)) return INVALID_CONTEXT;
    context_stack.push_back(static_cast<Device *>(context));
    return SUCCESS;
}
DRIVER cuCtxPopCurrent_v2(void **context) {
    CALL("cuCtxPopCurrent");
    if (!current()) return INVALID_CONTEXT;
    if (context) *context = current();
    context_stack.pop_back();
    return SUCCESS;
}
DRIVER cuCtxGetDevice(int *device) {
    CALL("cuCtxGetDevice");
    if (!current()) return INVALID_CONTEXT;
    *device = current()->number;
    return SUCCESS;
}
DRIVER cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    CALL("cuCtxGetStreamPriorityRange");
    *least = 0, *greatest = -5;
    return current() ? SUCCESS : INVALID_CONTEXT;
}
DRIVER cuCtxSynchronize() {
    CALL("cuCtxSynchronize");
    if (int wrong = usable(current())) return wrong;
    if (int wrong = refuse_in_capture()) return wrong;
    return drain_all(current());
}
DRIVER cuCtxEnablePeerAccess(void *context, unsigned) {
    CALL("cuCtxEnablePeerAccess");
    Device *peer = known<Device>(context);
    if (!peer || !current() || peer == current()) return INVALID_CONTEXT;
    return current()->peers.insert(peer->number).second ? SUCCESS : PEER_ACCESS_ALREADY_ENABLED;
}
DRIVER cuCtxDisablePeerAccess(void *context) {
    CALL("cuCtxDisablePeerAccess");
    Device *peer = known<Device>(context);
    if (!peer || !current()) return INVALID_CONTEXT;
    return current()->peers.erase(peer->number) ? SUCCESS : PEER_ACCESS_NOT_ENABLED;
}

static size_t image_bytes(const unsigned char *code) { // an ELF file ends with its section headers
    uint64_t at;
    uint16_t entry_bytes, n;
    memcpy(&at, code + 40, 8);
    memcpy(&entry_bytes, code + 58, 2);
    memcpy(&n, code + 60, 2);
    return at + (size_t)entry_bytes * n;
}
static int load(void **module, const void *code) {
    constexpr unsigned char elf[4] = {0x7f, 'E', 'L', 'F'};
    constexpr uint16_t cuda_machine = 190;
    uint16_t machine;
    if (!code || memcmp(code, elf, 4)) return INVALID_IMAGE;
    memcpy(&machine, static_cast<const char *>(code) + 18, 2);
    if (machine == cuda_machine) return INVALID_IMAGE;
    char error[1024] = "";
    void *image = emulator_load(code, image_bytes(static_cast<const unsigned char *>(code)), error, sizeof error);
    if (!image) return state().last_failure = error, INVALID_IMAGE;
    *module = made(new Module{image, {}});
    return SUCCESS;
}
static int get_function(void **function, void *module, const char *symbol) {
    Module *m = known<Module>(module);
    if (!m) return INVALID_HANDLE;
    Function *&f = m->functions[symbol];
    if (!f) {
        const emulator::Kernel *kernel = emulator_find(m->image, symbol);
        if (!kernel) return NOT_FOUND;
        f = made(new Function{kernel, symbol});
    }
    *function = f;
    return SUCCESS;
}
DRIVER cuModuleLoadData(void **module, const void *code) {
    CALL("cuModuleLoadData");
    if (int wrong = usable(current())) return wrong;
    return load(module, code);
}
DRIVER cuModuleLoadDataEx(void **module, const void *code, unsigned, int *, void **) {
    CALL("cuModuleLoadDataEx");
    if (int wrong = usable(current())) return wrong;
    return load(module, code);
}
DRIVER cuModuleGetFunction(void **function, void *module, const char *symbol) {
    CALL("cuModuleGetFunction");
    return get_function(function, module, symbol);
}
DRIVER cuModuleUnload(void *module) {
    CALL("cuModuleUnload");
    return state().handles.erase(module) ? SUCCESS : INVALID_HANDLE;
}
DRIVER cuLibraryLoadData(void **library, const void *code, void *, void *, unsigned, void *, void *, unsigned) {
    CALL("cuLibraryLoadData");
    return load(library, code);
}
DRIVER cuLibraryGetKernel(void **kernel, void *library, const char *symbol) {
    CALL("cuLibraryGetKernel");
    return get_function(kernel, library, symbol);
}
DRIVER cuLibraryUnload(void *library) {
    CALL("cuLibraryUnload");
    return state().handles.erase(library) ? SUCCESS : INVALID_HANDLE;
}
DRIVER cuKernelGetFunction(void **function, void *kernel) {
    CALL("cuKernelGetFunction");
    *function = kernel;
    return known<Function>(kernel) ? SUCCESS : INVALID_HANDLE;
}
DRIVER cuFuncGetAttribute(int *value, int which, void *function) { // the numbers of CUfunction_attribute
    CALL("cuFuncGetAttribute");
    Function *f = known<Function>(function);
    if (!f) return INVALID_HANDLE;
    switch (which) {
    case 0: *value = 1024; break;                                             // threads a block
    case 1: *value = (int)(f->kernel->shared_end - f->kernel->shared); break; // static shared memory
    case 4: *value = 32; break;                                               // registers
    case 5:
    case 6: *value = (int)state().settings.arch; break; // PTX, binary version
    case 8: *value = (int)f->max_dynamic_shared; break;
    default: *value = 0;
    }
    return SUCCESS;
}
DRIVER cuFuncSetAttribute(void *function, int which, int value) {
    CALL("cuFuncSetAttribute");
    Function *f = known<Function>(function);
    if (!f) return INVALID_HANDLE;
    if (which != 8) return SUCCESS;
    if (value < 0 || value > 227 << 10) return INVALID_VALUE;
    f->max_dynamic_shared = (unsigned)value;
    return SUCCESS;
}
DRIVER cuFuncGetParamInfo(void *function, size_t i, size_t *offset, size_t *n_bytes) {
    CALL("cuFuncGetParamInfo");
    Function *f = known<Function>(function);
    if (!f) return INVALID_HANDLE;
    if (i >= f->kernel->n_params) return INVALID_VALUE;
    size_t at = 0;
    for (size_t k = 0;; at += f->kernel->size[k++]) {
        at = (at + f->kernel->align[k] - 1) / f->kernel->align[k] * f->kernel->align[k];
        if (k == i) break;
    }
    *offset = at;
    if (n_bytes) *n_bytes = f->kernel->size[i];
    return SUCCESS;
}
DRIVER cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *function, int block_threads, size_t) {
    CALL("cuOccupancyMaxActiveBlocksPerMultiprocessor");
    if (!known<Function>(function)) return INVALID_HANDLE;
    if (block_threads <= 0) return INVALID_VALUE;
    *n = 2048 / block_threads;
    return SUCCESS;
}

static int launch(void *function, const unsigned *grid, const unsigned *block, unsigned shared, void *stream_handle, void **params) {
    Function *f = known<Function>(function);
    Stream *stream = stream_of(stream_handle);
    if (!f || !stream) return INVALID_HANDLE;
    if (int wrong = usable(current())) return wrong;
    if (stream->device != current()) return INVALID_HANDLE;
    char error[1024] = "";
    if (emulator_refuses(f->kernel, grid, block, shared, error, sizeof error)) return state().last_failure = error, INVALID_VALUE;
    if (shared > f->max_dynamic_shared || (f->kernel->n_params && !params)) return INVALID_VALUE;
    struct Launch {
        Function *function;
        unsigned grid[3], block[3], shared;
        std::vector<std::vector<char>> values;
    } what{f, {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared, {}};
    for (unsigned i = 0; i < f->kernel->n_params; ++i) {
        const char *value = static_cast<const char *>(params[i]);
        what.values.emplace_back(value, value + f->kernel->size[i]);
    }
    return put(stream, "kernel", [what]() mutable {
        if (int injected = fault("execution")) return injected;
        std::vector<void *> values;
        for (auto &value : what.values) values.push_back(value.data());
        char text[1024] = "";
        int failed =
            emulator_launch(what.function->kernel, what.grid, what.block, what.shared, values.data(), (int)state().settings.order, text, sizeof text);
        if (failed) state().last_failure = text;
        return failed ? (int)LAUNCH_FAILED : 0;
    });
}
DRIVER cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream,
                      void **params, void **extra) {
    CALL("cuLaunchKernel");
    if (extra) return NOT_SUPPORTED;
    unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
    return launch(function, grid, block, shared, stream, params);
}
struct LaunchConfig { // CUlaunchConfig
    unsigned grid[3], block[3], shared;
    void *stream, *attributes;
    unsigned n_attributes;
};
DRIVER cuLaunchKernelEx(const LaunchConfig *config, void *function, void **params, void **extra) {
    CALL("cuLaunchKernelEx");
    if (extra || config->n_attributes) return NOT_SUPPORTED;
    return launch(function, config->grid, config->block, config->shared, config->stream, params);
}

DRIVER cuGetErrorName(int result, const char **text) {
    auto found = error_texts.find(result);
    *text = found == error_texts.end() ? nullptr : found->second.first;
    return *text ? SUCCESS : INVALID_VALUE;
}
DRIVER cuGetErrorString(int result, const char **text) {
    auto found = error_texts.find(result);
    if (found == error_texts.end()) return *text = nullptr, INVALID_VALUE;
    static thread_local std::string whole;
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    whole = found->second.second;
    if ((result == LAUNCH_FAILED || result == INVALID_IMAGE) && !state().last_failure.empty()) whole += " (" + state().last_failure + ")";
    *text = whole.c_str();
    return SUCCESS;
}
// NVRTC asks for private tables, and takes success as a promise that there are some.
DRIVER cuGetExportTable(const void **table, const void *) {
    if (table) *table = nullptr;
    return NOT_SUPPORTED;
}
DRIVER cuGetProcAddress_v2(const char *name, void **address, int, uint64_t, int *status) {
    static void *self = [] {
        Dl_info info;
        dladdr(reinterpret_cast<void *>(&cuInit), &info);
        return dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    }();
    *address = nullptr;
    for (const char *suffix : {"_v3", "_v2", ""})
        if (!*address) *address = dlsym(self, (std::string(name) + suffix).c_str());
    if (status) *status = *address ? 0 : 1;
    return *address ? SUCCESS : NOT_FOUND;
}

// For tests.

// Back to a driver that nobody has called; memory that is live stays.
extern "C" EMULATOR_API void emulated_reset() {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    for (Device *device : state().devices) {
        device->sticky = 0;
        for (Stream *stream : device->streams) stream->capture.reset(), stream->tail.clear();
    }
    state().settings = Settings();
    state().n_calls.clear();
    state().faults.clear();
    state().last_failure.clear();
}
// Sets what `Settings` names; 0, or 1 where it names no such thing.
extern "C" EMULATOR_API int emulated_set(const char *name, uint64_t value) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    Settings &s = state().settings;
    const std::map<std::string, uint64_t *> all = {{"devices", &s.n_devices}, {"memory", &s.memory_bytes}, {"lazy", &s.lazy},  {"order", &s.order},
                                                   {"version", &s.version},   {"arch", &s.arch},           {"peers", &s.peers}};
    auto found = all.find(name);
    if (found == all.end()) return 1;
    *found->second = value;
    return 0;
}
// The call of a function after `after` others, and the next times - 1, return `result`; "execution" is a kernel that runs.
extern "C" EMULATOR_API void emulated_fail(const char *name, int result, uint64_t after, uint64_t times) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    state().faults[name] = {result, after, times};
}
// How often a function was called since the last reset.
extern "C" EMULATOR_API uint64_t emulated_calls(const char *name) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    return state().n_calls[name];
}
