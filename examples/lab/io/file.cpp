// POSIX files: open, fstat, pread, write, rename. No mapping: a mapped file that shrinks is a
// SIGBUS.
#include <lab/io/file.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lab {
namespace {

constexpr std::size_t block = std::size_t{1} << 26;  // one system call moves at most 2 GiB

std::string reason() {
  return std::strerror(errno);
}

/// A disk that is full or broken, or a limit of the system.
[[noreturn]] void failed(const std::string& path) {
  throw std::runtime_error(printable(path, 300) + ": cannot be written: " + reason());
}

/// Whether the last call failed for want of something that the path has nothing to do with.
bool out_of_resources() {
  return errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EMFILE || errno == ENFILE;
}

}  // namespace

input_file::input_file(const std::filesystem::path& path) : path_(path.string()) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) reject({path_}, "cannot be opened: ", reason());
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const char* what = known && S_ISDIR(status.st_mode) ? "is a folder" : "is not a regular file";
    ::close(std::exchange(descriptor_, -1));
    reject({path_}, what, "; expected a file");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

input_file::input_file(input_file&& other) noexcept
    : path_(std::move(other.path_)),
      size_(other.size_),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

input_file& input_file::operator=(input_file&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(size_, other.size_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

input_file::~input_file() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void input_file::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset)
    reject({path_, offset}, "expected ", out.size(), " bytes, the file has ", size_, " in all");
  while (!out.empty()) {
    const auto got =
        ::pread(descriptor_, out.data(), std::min(out.size(), block), static_cast<::off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) reject({path_, offset}, "cannot be read: ", reason());
    if (got == 0) reject({path_, offset}, "the file became shorter while it was read");
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

output_file::output_file(const std::filesystem::path& path) : path_(path.string()) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_directory(status)) reject({path_}, "is a folder; expected a file name");
  const bool special = std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
  if (special) {  // a pipe or a device: nothing to protect
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) reject({path_}, "cannot be written: ", reason());
    return;
  }
  if (std::filesystem::is_symlink(path, ignored)) {  // replace what the link names, not the link
    const auto target = std::filesystem::weakly_canonical(path, ignored);
    if (!ignored) path_ = target.string();
  }
  open_temporary();
}

void output_file::open_temporary() {
#if defined(O_TMPFILE)
  // The name comes through /proc.
  if (static const bool linkable = ::access("/proc/self/fd", X_OK) == 0; linkable) {
    const auto folder = std::filesystem::path(path_).parent_path();
    descriptor_ =
        ::open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    nameless_ = descriptor_ >= 0;
    if (nameless_) return;
  }
#endif
  temporary_ = path_ + ".XXXXXX";
  descriptor_ = ::mkstemp(temporary_.data());
  if (descriptor_ < 0) {
    temporary_.clear();
    if (out_of_resources()) failed(path_);
    reject({path_}, "cannot be written: ", reason());
  }
  const ::mode_t mask = ::umask(0);
  ::umask(mask);
  // mkstemp makes a private file; the result is an ordinary one.
  if (::fchmod(descriptor_, static_cast<::mode_t>(0666 & ~mask)) != 0) errno = 0;
}

/// A link cannot replace a file, and a file without a name cannot be renamed: where there is one, two steps.
void output_file::give_name() {
  const std::string self = "/proc/self/fd/" + std::to_string(descriptor_);
  const auto link_to = [&](const std::string& name) {
    return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  if (link_to(path_)) return;
  for (unsigned i = 0; errno == EEXIST && i < 1000; ++i) {
    const std::string name = path_ + "." + std::to_string(::getpid()) + "-" + std::to_string(i);
    if (!link_to(name)) continue;
    temporary_ = name;
    return;
  }
  failed(path_);
}

output_file::~output_file() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void output_file::write(std::span<const std::byte> data) {
  while (!data.empty()) {
    const auto put = ::write(descriptor_, data.data(), std::min(data.size(), block));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) failed(path_);
    data = data.subspan(static_cast<std::size_t>(put));
  }
}

void output_file::finish() {
  if (nameless_) give_name();
  if (::close(std::exchange(descriptor_, -1)) != 0) failed(path_);
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) failed(path_);
  temporary_.clear();
}

void require_writable(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  const bool special = std::filesystem::exists(status) &&
                       !std::filesystem::is_regular_file(status) &&
                       !std::filesystem::is_directory(status);
  if (!special) {
    const output_file probe(path);
  } else if (::access(path.c_str(), W_OK) != 0) {  // opening a pipe would wait for its reader
    reject({path.string()}, "cannot be written: ", reason());
  }
}

void make_folder(const std::filesystem::path& path) {
  std::error_code problem;
  std::filesystem::create_directories(path, problem);
  if (problem) reject({path.string()}, "cannot be made: ", problem.message());
}

void require_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  std::vector<std::filesystem::path> missing;
  for (auto p = path; !p.empty() && !std::filesystem::exists(p, ignored); p = p.parent_path()) {
    missing.push_back(p);
  }
  const auto tidy = [&] {
    for (const auto& p : missing) std::filesystem::remove(p, ignored);
  };
  try {
    make_folder(path);
    require_writable(path / "config.json");
  } catch (...) {
    tidy();
    throw;
  }
  tidy();
}

std::string read_file(const std::filesystem::path& path, std::uint64_t limit) {
  const input_file file(path);
  if (file.size() > limit)
    reject({file.path()}, "has ", file.size(), " bytes; expected at most ", limit);
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  output_file file(path);
  file.write(text);
  file.finish();
}

}  // namespace lab
