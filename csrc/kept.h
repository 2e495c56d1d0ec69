// What a plan's kept step was made from: variables, and the versions that they had.  The notes lie in the plan, all of whose runs are given the same
// arrays and one arena, and so never overlap.  Called by: csrc/plan.cpp, csrc/gpu/plan.cpp.
#ifndef CYMX_KEPT_H_
#define CYMX_KEPT_H_

#include "cymx.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cymx {

class Sources {
  public:
    Sources() = default;
    // slots: where a plan finds the variables.
    Sources(const int32_t *slots, int32_t n) : slots_(slots, slots + n), seen_(n, 0) {}

    // Whether the step keeps what it makes.
    explicit operator bool() const { return !slots_.empty(); }

    // Whether nobody wrote the variables since `note`, or may have.
    bool unchanged(const cymx_buffer *const *buffers) const {
        for (std::size_t i = 0; i < slots_.size(); ++i) {
            const cymx_buffer &source = *buffers[slots_[i]];
            if (source.exposed || source.version != seen_[i]) return false;
        }
        return true;
    }

    void note(const cymx_buffer *const *buffers) {
        for (std::size_t i = 0; i < slots_.size(); ++i) seen_[i] = buffers[slots_[i]]->version;
    }

  private:
    std::vector<int32_t> slots_;
    std::vector<uint64_t> seen_;
};

} // namespace cymx

#endif
