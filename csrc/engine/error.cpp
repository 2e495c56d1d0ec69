// How errors travel: poison, shared by every buffer that a failure reached, and the list of errors that no wait has returned yet.
// Called by the rest of csrc/engine.
#include <algorithm>
#include <cctype>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

#include "engine/core.h"

namespace cymx {

namespace {

// Stands in when there is no memory for a poison; its own reference keeps it from being freed.
struct LastResort : Poison {
    LastResort() { fail(&error, CYMX_OUT_OF_MEMORY, "a task failed, and there was no memory to say why"); }
} last_resort;

// "exp" names "exp: ..." and "exp 'y': ...", but not "expected ...".
bool names(const char *label, const char *message) {
    const size_t n = strlen(label);
    return strncmp(label, message, n) == 0 && !isalnum(static_cast<unsigned char>(message[n])) && message[n] != '_';
}

void forget_reported() {
    auto &errors = engine.errors;
    const auto end = std::remove_if(errors.begin(), errors.end(), [](Poison *poison) {
        const bool reported = poison->reported.load(std::memory_order_relaxed);
        if (reported) release_poison(poison);
        return reported;
    });
    errors.erase(end, errors.end());
}

} // namespace

const char *device_name(int32_t device_type) {
    switch (device_type) {
    case 1: return "cpu";
    case 2: return "gpu";
    case 3: return "cpu_pinned";
    case 5: return "cpu_shared";
    default: return "device";
    }
}

int fail(cymx_error *err, int code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = code;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return code;
}

Poison *make_poison(const char *label, int code, const cymx_error &error) {
    Poison *poison = new (std::nothrow) Poison;
    if (!poison) {
        last_resort.refs.fetch_add(1, std::memory_order_relaxed);
        return &last_resort;
    }
    const char *message = *error.message ? error.message : "failed without a message";
    const bool named = !label || !*label || names(label, message);
    fail(&poison->error, error.code ? error.code : code, "%s%s%s", named ? "" : label, named ? "" : ": ", message);
    return poison;
}

void release_poison(Poison *poison) {
    if (poison->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete poison;
}

// The caller holds the buffer's variable as a writer; null clears.
void set_poison(Buffer *buffer, Poison *poison) {
    if (buffer->poison == poison) return;
    if (poison) poison->refs.fetch_add(1, std::memory_order_relaxed);
    if (buffer->poison) release_poison(buffer->poison);
    buffer->poison = poison;
}

void remember(Poison *poison) {
    Lock lock(engine.mutex);
    if (engine.errors.size() >= max_remembered) forget_reported();
    if (engine.errors.size() >= max_remembered) return;
    poison->refs.fetch_add(1, std::memory_order_relaxed);
    engine.errors.push_back(poison);
}

int report(Poison *poison, cymx_error *err) {
    if (!poison) return CYMX_OK;
    poison->reported.store(true, std::memory_order_relaxed);
    if (err) *err = poison->error;
    return poison->error.code;
}

// Under the engine's mutex.
int report_oldest(cymx_error *err) {
    forget_reported();
    if (engine.errors.empty()) return CYMX_OK;
    Poison *poison = engine.errors.front();
    engine.errors.erase(engine.errors.begin());
    const int code = report(poison, err);
    release_poison(poison);
    return code;
}

} // namespace cymx
