// Random state: a Philox key and a counter for each context.  The numbers themselves are made by the kernels.
// Called through engine.h and by workers.cpp for new contexts.
#include "engine/core.h"

namespace cymx {

// Philox mixes its key, so keys need only differ; id 0 keeps the seed itself.
uint64_t context_key(uint64_t seed, int32_t device_id) { return seed + static_cast<uint64_t>(device_id) * 0x9E3779B97F4A7C15u; }

namespace {
void set_key(Context &context, uint64_t key) {
    context.lock.lock();
    context.key = key;
    context.counter = 0;
    context.lock.unlock();
}
} // namespace

} // namespace cymx

using namespace cymx;

void cymx_random_seed(uint64_t seed) {
    std::unique_lock<SpinLock> lock(engine.contexts_lock);
    engine.seed = seed;
    for (Context *context = engine.contexts.load(); context; context = context->next.load()) set_key(*context, context_key(seed, context->device_id));
}

void cymx_random_seed_context(int32_t device_type, int32_t device_id, uint64_t seed) { set_key(*find_context(device_type, device_id), seed); }

void cymx_random_reserve(int32_t device_type, int32_t device_id, uint64_t n, uint64_t *seed, uint64_t *counter) {
    Context &context = *find_context(device_type, device_id);
    context.lock.lock();
    *seed = context.key;
    *counter = context.counter;
    context.counter += n;
    context.lock.unlock();
}
