// Prints vectors of texts: embed BUNDLE TEXT ...
#include <cstdio>
#include <exception>

#include "text_encoder.hpp"

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: embed BUNDLE TEXT ...\n");
    return 2;
  }
  const std::vector<std::string> texts(argv + 2, argv + argc);
  const auto vectors = TextEncoder(argv[1]).Embed(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (int j = 0; j < 4; ++j) std::printf("%.4f ", vectors[i][j]);
    std::printf("... (%zu dimensions)  %s\n", vectors[i].size(), texts[i].c_str());
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "embed: %s\n", error.what());
  return 1;
}
