// The emulated driver's streams, events, captures and graphs.
//
// A stream runs when the host waits for it, or when a stream that runs waits for an event in it; no earlier.  A graph's nodes run in the latest order that their
// edges allow, so an edge that is missing gives a wrong answer.
#include "driver.h"

#include <string.h>

#include <algorithm>
#include <chrono>

namespace driver {

namespace {

constexpr int polls = 3; // how often a query may say "not ready" before the work runs: who polls waits, too

std::vector<std::shared_ptr<Capture>> captures; // that have begun and not ended

void merge(std::vector<size_t> &tail, const std::vector<size_t> &more) {
    for (size_t node : more)
        if (std::find(tail.begin(), tail.end(), node) == tail.end()) tail.push_back(node);
}

// Whether all nodes of a graph come before some node of `tail` or are in it.
bool joined(const Graph &graph, const std::vector<size_t> &tail) {
    std::vector<bool> seen(graph.nodes.size());
    std::vector<size_t> open = tail;
    while (!open.empty()) {
        size_t node = open.back();
        open.pop_back();
        if (seen[node]) continue;
        seen[node] = true;
        open.insert(open.end(), graph.nodes[node].after.begin(), graph.nodes[node].after.end());
    }
    return std::find(seen.begin(), seen.end(), false) == seen.end();
}

int run_nodes(const Nodes &nodes) {
    std::vector<bool> done(nodes.size());
    for (size_t n_done = 0; n_done < nodes.size(); ++n_done) {
        size_t next = nodes.size();
        for (size_t i = nodes.size(); i-- > 0 && next == nodes.size();) {
            const auto &after = nodes[i].after;
            if (!done[i] && std::all_of(after.begin(), after.end(), [&](size_t k) { return done[k]; })) next = i;
        }
        if (int failed = nodes[next].run()) return failed;
        done[next] = true;
    }
    return 0;
}

int64_t now_ns() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool over(const Event &event) { return !event.stream || event.stream->n_run >= event.position; }

} // namespace

Stream *stream_of(void *handle) {
    if ((uintptr_t)handle <= 2) return current() ? current()->null_stream : nullptr;
    return known<Stream>(handle);
}

int put(Stream *stream, const char *kind, Run run) {
    if (stream->capture) {
        if (stream->capture->invalid) return CAPTURE_INVALIDATED;
        Nodes &nodes = stream->capture->graph->nodes;
        nodes.push_back({kind, std::move(run), stream->tail});
        stream->tail = {nodes.size() - 1};
        return SUCCESS;
    }
    if (stream->device->sticky) return stream->device->sticky;
    stream->queue.push_back(std::move(run));
    ++stream->n_put;
    stream->n_queries = 0;
    return state().settings.lazy ? (int)SUCCESS : drain(stream);
}

int drain(Stream *stream, uint64_t until) {
    Device *device = stream->device;
    while (!stream->queue.empty() && stream->n_run < until && !stream->running) {
        stream->running = true;
        Run run = std::move(stream->queue.front());
        stream->queue.pop_front();
        if (!device->sticky) device->sticky = run(); // after a failure nothing runs any more
        ++stream->n_run;
        stream->running = false;
    }
    return device->sticky;
}

int drain_all(Device *device) {
    for (size_t i = 0; i < device->streams.size(); ++i) drain(device->streams[i]);
    return device->sticky;
}

int refuse_in_capture() {
    for (auto &capture : captures) capture->invalid = true;
    return captures.empty() ? SUCCESS : CAPTURE_UNSUPPORTED;
}

} // namespace driver

using namespace driver;

static int make_stream(void **stream, unsigned flags, int priority) {
    if (int wrong = usable(current())) return wrong;
    Stream *s = made(new Stream);
    s->device = current(), s->flags = flags, s->priority = priority;
    current()->streams.push_back(s);
    *stream = s;
    return SUCCESS;
}
DRIVER cuStreamCreate(void **stream, unsigned flags) {
    CALL("cuStreamCreate");
    return make_stream(stream, flags, 0);
}
DRIVER cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
    CALL("cuStreamCreateWithPriority");
    return make_stream(stream, flags, priority);
}
DRIVER cuStreamDestroy_v2(void *stream) {
    CALL("cuStreamDestroy");
    Stream *s = known<Stream>(stream);
    if (!s) return INVALID_HANDLE;
    drain(s);
    state().handles.erase(s);
    return SUCCESS;
}
DRIVER cuStreamGetFlags(void *stream, unsigned *flags) {
    CALL("cuStreamGetFlags");
    Stream *s = stream_of(stream);
    return s ? (*flags = s->flags, SUCCESS) : INVALID_HANDLE;
}
DRIVER cuStreamGetPriority(void *stream, int *priority) {
    CALL("cuStreamGetPriority");
    Stream *s = stream_of(stream);
    return s ? (*priority = s->priority, SUCCESS) : INVALID_HANDLE;
}
DRIVER cuStreamGetCtx(void *stream, void **context) {
    CALL("cuStreamGetCtx");
    Stream *s = stream_of(stream);
    return s ? (*context = s->device, SUCCESS) : INVALID_HANDLE;
}
DRIVER cuStreamSynchronize(void *stream) {
    CALL("cuStreamSynchronize");
    Stream *s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    if (s->capture) return s->capture->invalid = true, CAPTURE_UNSUPPORTED;
    return drain(s);
}
DRIVER cuStreamQuery(void *stream) {
    CALL("cuStreamQuery");
    Stream *s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    if (s->capture) return s->capture->invalid = true, CAPTURE_UNSUPPORTED;
    if (++s->n_queries > polls) return drain(s);
    return s->device->sticky ? s->device->sticky : s->queue.empty() ? SUCCESS : NOT_READY;
}
DRIVER cuLaunchHostFunc(void *stream, void (*run)(void *), void *data) {
    CALL("cuLaunchHostFunc");
    Stream *s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    return put(s, "host", [=] { return run(data), (int)SUCCESS; });
}
DRIVER cuStreamWaitEvent(void *stream, void *event, unsigned) {
    CALL("cuStreamWaitEvent");
    Stream *s = stream_of(stream);
    Event *e = known<Event>(event);
    if (!s || !e) return INVALID_HANDLE;
    if (e->capture) {
        if (s->capture && s->capture != e->capture) return s->capture->invalid = true, CAPTURE_ISOLATION;
        if (!s->capture) {
            s->capture = e->capture;
            s->tail.clear();
            e->capture->streams.push_back(s);
        }
        merge(s->tail, e->tail);
        return SUCCESS;
    }
    if (!e->stream) return SUCCESS;
    if (s->capture) return s->capture->invalid = true, CAPTURE_ISOLATION;
    Stream *other = e->stream;
    uint64_t position = e->position;
    return put(s, "wait", [other, position] { return drain(other, position); });
}

DRIVER cuEventCreate(void **event, unsigned flags) {
    CALL("cuEventCreate");
    if (int wrong = usable(current())) return wrong;
    Event *e = made(new Event);
    e->device = current(), e->flags = flags;
    *event = e;
    return SUCCESS;
}
DRIVER cuEventDestroy_v2(void *event) {
    CALL("cuEventDestroy");
    return state().handles.erase(event) ? SUCCESS : INVALID_HANDLE;
}
static int record(void *event, void *stream) {
    Stream *s = stream_of(stream);
    Event *e = known<Event>(event);
    if (!s || !e || s->device != e->device) return INVALID_HANDLE;
    e->capture = s->capture;
    if (s->capture) return e->tail = s->tail, SUCCESS;
    e->stream = s, e->position = s->n_put + 1, e->n_queries = 0;
    return put(s, "event", [e] {
        e->time_ns = now_ns();
        return 0;
    });
}
DRIVER cuEventRecord(void *event, void *stream) {
    CALL("cuEventRecord");
    return record(event, stream);
}
DRIVER cuEventRecordWithFlags(void *event, void *stream, unsigned flags) {
    CALL("cuEventRecordWithFlags");
    return flags ? (int)NOT_SUPPORTED : record(event, stream);
}
DRIVER cuEventQuery(void *event) {
    CALL("cuEventQuery");
    Event *e = known<Event>(event);
    if (!e) return INVALID_HANDLE;
    if (e->capture) return e->capture->invalid = true, CAPTURED_EVENT;
    if (!over(*e) && ++e->n_queries > polls) drain(e->stream, e->position);
    return e->device->sticky ? e->device->sticky : over(*e) ? SUCCESS : NOT_READY;
}
DRIVER cuEventSynchronize(void *event) {
    CALL("cuEventSynchronize");
    Event *e = known<Event>(event);
    if (!e) return INVALID_HANDLE;
    if (e->capture) return e->capture->invalid = true, CAPTURED_EVENT;
    return e->stream ? drain(e->stream, e->position) : e->device->sticky;
}
DRIVER cuEventElapsedTime_v2(float *ms, void *start, void *end) {
    CALL("cuEventElapsedTime");
    constexpr unsigned no_timing = 2;
    Event *a = known<Event>(start), *b = known<Event>(end);
    if (!a || !b || (a->flags | b->flags) & no_timing || !a->stream || !b->stream) return INVALID_HANDLE;
    if (!over(*a) || !over(*b)) return NOT_READY;
    *ms = (float)(b->time_ns - a->time_ns) * 1e-6f;
    return SUCCESS;
}

DRIVER cuStreamBeginCapture_v2(void *stream, int mode) {
    CALL("cuStreamBeginCapture");
    Stream *s = stream_of(stream);
    if (!s || (uintptr_t)stream <= 1) return s ? CAPTURE_UNSUPPORTED : INVALID_HANDLE;
    if (mode < 0 || mode > 2) return INVALID_VALUE;
    if (s->capture) return ILLEGAL_STATE;
    s->capture = std::make_shared<Capture>(Capture{made(new Graph), s, false, {s}});
    s->tail.clear();
    captures.push_back(s->capture);
    return SUCCESS;
}
DRIVER cuStreamEndCapture(void *stream, void **graph) {
    CALL("cuStreamEndCapture");
    Stream *s = stream_of(stream);
    *graph = nullptr;
    if (!s) return INVALID_HANDLE;
    if (!s->capture) return ILLEGAL_STATE;
    std::shared_ptr<Capture> capture = s->capture;
    if (capture->origin != s) return capture->invalid = true, CAPTURE_UNMATCHED;
    bool whole = joined(*capture->graph, s->tail);
    for (Stream *each : capture->streams) each->capture.reset(), each->tail.clear();
    captures.erase(std::find(captures.begin(), captures.end(), capture));
    if (capture->invalid) return CAPTURE_INVALIDATED;
    if (!whole) return CAPTURE_UNJOINED;
    *graph = capture->graph;
    return SUCCESS;
}
DRIVER cuStreamIsCapturing(void *stream, int *status) {
    CALL("cuStreamIsCapturing");
    Stream *s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    *status = !s->capture ? 0 : s->capture->invalid ? 2 : 1;
    return SUCCESS;
}

DRIVER cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long) {
    CALL("cuGraphInstantiateWithFlags");
    Graph *g = known<Graph>(graph);
    if (!g) return INVALID_HANDLE;
    *executable = made(new Executable{std::make_shared<const Nodes>(g->nodes)});
    return SUCCESS;
}
DRIVER cuGraphLaunch(void *executable, void *stream) {
    CALL("cuGraphLaunch");
    Executable *x = known<Executable>(executable);
    Stream *s = stream_of(stream);
    if (!x || !s) return INVALID_HANDLE;
    if (int wrong = usable(s->device)) return wrong;
    return put(s, "graph", [nodes = x->nodes] { return run_nodes(*nodes); });
}
DRIVER cuGraphUpload(void *executable, void *stream) {
    CALL("cuGraphUpload");
    return known<Executable>(executable) && stream_of(stream) ? SUCCESS : INVALID_HANDLE;
}
struct UpdateResult { // CUgraphExecUpdateResultInfo
    int result;
    void *node, *from;
};
DRIVER cuGraphExecUpdate_v2(void *executable, void *graph, UpdateResult *result) {
    CALL("cuGraphExecUpdate");
    Executable *x = known<Executable>(executable);
    Graph *g = known<Graph>(graph);
    if (!x || !g) return INVALID_HANDLE;
    bool same = x->nodes->size() == g->nodes.size();
    for (size_t i = 0; same && i < g->nodes.size(); ++i) {
        const Node &a = (*x->nodes)[i], &b = g->nodes[i];
        same = a.kind == b.kind && a.after == b.after;
    }
    constexpr int topology_changed = 2;
    *result = {same ? 0 : topology_changed, nullptr, nullptr};
    if (!same) return GRAPH_UPDATE_FAILURE;
    x->nodes = std::make_shared<const Nodes>(g->nodes);
    return SUCCESS;
}
DRIVER cuGraphGetNodes(void *graph, void **nodes, size_t *n) {
    CALL("cuGraphGetNodes");
    Graph *g = known<Graph>(graph);
    if (!g) return INVALID_HANDLE;
    if (nodes)
        for (size_t i = 0; i < *n; ++i) nodes[i] = i < g->nodes.size() ? &g->nodes[i] : nullptr;
    *n = g->nodes.size();
    return SUCCESS;
}
DRIVER cuGraphDestroy(void *graph) {
    CALL("cuGraphDestroy");
    return state().handles.erase(graph) ? SUCCESS : INVALID_HANDLE;
}
DRIVER cuGraphExecDestroy(void *executable) {
    CALL("cuGraphExecDestroy");
    return state().handles.erase(executable) ? SUCCESS : INVALID_HANDLE;
}
