// Two orders of the rows of q and k within a head of d. HuggingFace turns (x_j, x_j+d/2), llama.cpp and
// llama2.c turn neighbours, (x_2j, x_2j+1): row j + i d/2 of the one is row 2j + i of the other.
#pragma once

#include <cstddef>
#include <vector>

namespace lab {

/// rows [heads * d, columns], or none: from neighbours to halves.
void to_halves(std::vector<float>& rows, std::size_t heads, std::size_t columns);
/// The inverse.
void to_neighbours(std::vector<float>& rows, std::size_t heads, std::size_t columns);

}  // namespace lab
