package example;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import com.google.gson.FieldNamingPolicy;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The texts of golden.json as one batch and one by one: {@code mvn test -Dbundle=...} */
final class GoldenTest {
  private static final Path BUNDLE = Path.of(System.getProperty("bundle", "../../models/potion-base-2M-onnx"));

  private static Golden golden;
  private static Embed embed;

  static final class Golden {
    float tolerance;
    List<Entry> texts;
  }

  static final class Entry {
    String text;
    long[] inputIds;
    float[] sentenceEmbedding;
  }

  @BeforeAll
  static void open() throws IOException, OrtException {
    var gson = new GsonBuilder().setFieldNamingPolicy(FieldNamingPolicy.LOWER_CASE_WITH_UNDERSCORES).create();
    golden = gson.fromJson(Files.readString(BUNDLE.resolve("golden.json")), Golden.class);
    embed = new Embed(BUNDLE);
  }

  @AfterAll
  static void close() throws OrtException {
    embed.close();
  }

  @Test
  void oneBatch() throws OrtException {
    check(golden.texts);
  }

  @Test
  void oneByOne() throws OrtException {
    for (var entry : golden.texts) {
      check(List.of(entry));
    }
  }

  private static void check(List<Entry> entries) throws OrtException {
    var texts = entries.stream().map(entry -> entry.text).toList();
    try (var result = embed.run(texts, Set.of("sentence_embedding", "input_ids", "token_offsets"))) {
      var vectors = (float[][]) result.get("sentence_embedding").orElseThrow().getValue();
      // An output without elements has no Java array.
      var buffer = ((OnnxTensor) result.get("input_ids").orElseThrow()).getLongBuffer();
      var ids = new long[buffer.remaining()];
      buffer.get(ids);
      var starts = (long[]) result.get("token_offsets").orElseThrow().getValue();
      assertEquals(entries.size(), vectors.length);
      for (int i = 0; i < vectors.length; i++) {
        var entry = entries.get(i);
        var name = entry.text.substring(0, Math.min(40, entry.text.length()));
        var end = i + 1 < starts.length ? starts[i + 1] : ids.length;
        assertArrayEquals(entry.inputIds, Arrays.copyOfRange(ids, (int) starts[i], (int) end), name);
        assertArrayEquals(entry.sentenceEmbedding, vectors[i], golden.tolerance, name);
      }
    }
  }
}
