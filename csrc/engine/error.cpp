// How errors travel: poison, shared by every buffer that a failure reached, and the list of errors that no wait has returned yet.
// Called by the rest of csrc/engine.
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

#include "engine/core.h"

namespace cymx {

namespace {
constexpr size_t max_remembered = 256; // of a program that never waits

// Stands in when there is no memory for a poison; its own reference keeps it from being freed.
struct LastResort : Poison {
    LastResort() { fail(&error, CYMX_OUT_OF_MEMORY, "a task failed, and there was no memory to say why"); }
} last_resort;
} // namespace

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
    if (!label) label = "";
    const bool named = !*label || strncmp(error.message, label, strlen(label)) == 0;
    const char *message = *error.message ? error.message : "failed without a message";
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
    while (!engine.errors.empty()) {
        Poison *poison = engine.errors.front();
        engine.errors.pop_front();
        const int code = poison->reported.load(std::memory_order_relaxed) ? CYMX_OK : report(poison, err);
        release_poison(poison);
        if (code) return code;
    }
    return CYMX_OK;
}

} // namespace cymx
