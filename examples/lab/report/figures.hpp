// The charts of a page: which numbers go into which drawing.
#pragma once

#include <lab/report/content.hpp>

namespace lab {

/// Drawings (SVG) of a section of content_of(p), in order; none for a section of words.
[[nodiscard]] std::vector<std::string> figures_of(const page& p, const section& s);

}  // namespace lab
