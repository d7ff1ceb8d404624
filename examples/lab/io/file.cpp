// POSIX files: open, fstat, pread, write, rename. No mapping: a mapped file that shrinks is a
// SIGBUS.
#include <lab/io/file.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lab {
namespace {

constexpr std::size_t block = std::size_t{1} << 26;  // one system call moves at most 2 GiB

std::string reason() {
  return std::strerror(errno);
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
  temporary_ = path_ + ".XXXXXX";
  descriptor_ = ::mkstemp(temporary_.data());
  if (descriptor_ < 0) {
    temporary_.clear();
    reject({path_}, "cannot be written: ", reason());
  }
  const ::mode_t mask = ::umask(0);
  ::umask(mask);
  // mkstemp makes a private file; the result is an ordinary one.
  if (::fchmod(descriptor_, static_cast<::mode_t>(0666 & ~mask)) != 0) ignored.clear();
}

output_file::~output_file() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void output_file::write(std::span<const std::byte> data) {
  while (!data.empty()) {
    const auto put = ::write(descriptor_, data.data(), std::min(data.size(), block));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) reject({path_}, "cannot be written: ", reason());
    data = data.subspan(static_cast<std::size_t>(put));
  }
}

void output_file::finish() {
  if (::close(std::exchange(descriptor_, -1)) != 0)
    reject({path_}, "cannot be written: ", reason());
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    reject({path_}, "cannot be written: ", reason());
  temporary_.clear();
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
