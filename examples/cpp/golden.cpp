// Does this onnxruntime give the token ids and vectors of golden.json? golden BUNDLE
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "text_encoder.hpp"

using nlohmann::json;

// Runs the texts as one batch.
// Returns the largest difference of a vector's number to the golden one.
float Check(TextEncoder& encoder, const json& entries, float tolerance) {
  std::vector<std::string> texts;
  for (const auto& entry : entries) texts.push_back(entry["text"]);
  const auto outputs = encoder.Run(texts, {"sentence_embedding", "input_ids", "token_offsets"});
  const auto vectors = TextEncoder::Rows(outputs[0]);
  const auto tokens = outputs[1].GetTensorTypeAndShapeInfo().GetElementCount();
  const auto* ids = outputs[1].GetTensorData<std::int64_t>();
  const auto* starts = outputs[2].GetTensorData<std::int64_t>();
  float largest = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto name = "text " + json(texts[i].substr(0, 40)).dump(-1, ' ', true, json::error_handler_t::replace);
    const auto end = i + 1 < texts.size() ? starts[i + 1] : static_cast<std::int64_t>(tokens);
    const std::vector<std::int64_t> found(ids + starts[i], ids + end);
    if (found != entries[i]["input_ids"].get<std::vector<std::int64_t>>()) {
      throw std::runtime_error(name + ": token ids " + json(found).dump() + ", expected " +
                               entries[i]["input_ids"].dump());
    }
    const auto expected = entries[i]["sentence_embedding"].get<std::vector<float>>();
    if (expected.size() != vectors[i].size()) throw std::runtime_error(name + ": another number of dimensions");
    for (std::size_t j = 0; j < expected.size(); ++j) {
      const float difference = std::abs(vectors[i][j] - expected[j]);
      if (!(difference <= tolerance)) {  // not ">": a NaN must fail too
        throw std::runtime_error(name + ": a vector is off by " + std::to_string(difference));
      }
      largest = std::max(largest, difference);
    }
  }
  return largest;
}

int main(int argc, char** argv) try {
  if (argc != 2) throw std::invalid_argument("usage: golden BUNDLE");
  const std::filesystem::path bundle = argv[1];
  const auto golden = json::parse(std::ifstream(bundle / "golden.json"));
  const auto& texts = golden["texts"];
  TextEncoder encoder(bundle);
  const float batch = Check(encoder, texts, golden["tolerance"]);
  float single = 0;
  for (const auto& entry : texts) single = std::max(single, Check(encoder, json::array({entry}), golden["tolerance"]));
  std::printf("%zu texts, token ids equal, vectors off by at most %.1e in a batch, %.1e alone\n", texts.size(), batch,
              single);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
