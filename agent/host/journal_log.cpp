#include "agent/host/journal_log.h"

#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>

#include "agent/host/journal_sink.h"

namespace namewall::agent {
namespace {

spdlog::level::level_enum level_of(Priority priority) {
  switch (priority) {
    case Priority::kError:
      return spdlog::level::err;
    case Priority::kWarning:
      return spdlog::level::warn;
    case Priority::kNotice:
    case Priority::kInfo:
      return spdlog::level::info;
    case Priority::kDebug:
      return spdlog::level::debug;
  }
  return spdlog::level::err;
}

// Threads started meanwhile take no signal: those are for the daemon's loop.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

std::shared_ptr<spdlog::details::thread_pool> start_writer(std::size_t waiting) {
  const SignalsBlocked blocked;
  return std::make_shared<spdlog::details::thread_pool>(waiting, 1);
}

}  // namespace

struct JournalLog::State {
  explicit State(const Options& options)
      : least(options.least),
        sink(std::make_shared<JournalSink>(options.identifier, options.way)),
        writer(start_writer(options.waiting)),
        logger(std::make_shared<spdlog::async_logger>(options.identifier, sink, writer,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_level(spdlog::level::trace);
  }

  Priority least;
  std::shared_ptr<JournalSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> writer;
  std::shared_ptr<spdlog::async_logger> logger;
};

JournalLog::JournalLog(const Options& options) : state_(std::make_unique<State>(options)) {}
JournalLog::~JournalLog() = default;

void JournalLog::set_least(Priority least) { state_->least = least; }

void JournalLog::write(const LogEntry& entry) {
  if (entry.priority > state_->least) return;
  state_->logger->log(level_of(entry.priority), spdlog::string_view_t(encode_entry(entry)));
}

std::uint64_t JournalLog::failures() const { return state_->sink->failures() + state_->writer->overrun_counter(); }

}  // namespace namewall::agent
