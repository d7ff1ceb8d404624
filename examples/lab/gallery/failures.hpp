// The experiments of the gallery, by subject; each has a page docs/failures/NAME.md, with - for _.
#pragma once

#include <lab/gallery/gallery.hpp>

namespace lab::failures {

// ranges.cpp: which range the grid covers
gallery_entry low_clipping();
gallery_entry percentile_tight();
gallery_entry percentile_loose();
gallery_entry wrong_text();
gallery_entry batch_order();

// layout.cpp: which values share a scale
gallery_entry batch_mates();
gallery_entry conv1d_axis();
gallery_entry four_bit_groups();

// arithmetic.cpp: sums, rounding and what is no number
gallery_entry saturating_sums();
gallery_entry zero_scale();
gallery_entry nan_absmax();
gallery_entry truncation();
gallery_entry ties_away();

// weights.cpp: weights in few bits, from somebody else's file
gallery_entry gptq_zero();
gallery_entry local_mse();

// models.cpp: outlier channels, and their cure where it does harm
gallery_entry static_outliers();
gallery_entry smooth_post_norm();
gallery_entry smooth_dead_channel();

}  // namespace lab::failures
