using System.Text;
using CdcOrleans.Storage.Postgres;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Storage;

public class StoredTextTests
{
    [Fact]
    public void Keys_that_fit_are_stored_as_they_are() =>
        Gen.String.Where(k => !k.Any(char.IsSurrogate)).Sample(key => StoredText.Key(key) == key || Encoding.UTF8.GetByteCount(key) > 2000);

    [Theory]
    [InlineData("é", 1001)]
    [InlineData("k", 2001)]
    [InlineData("€", 700)]
    [InlineData("😀", 600)]
    public void Long_keys_fit_into_an_index_and_stay_distinct(string unit, int times)
    {
        var key = string.Concat(Enumerable.Repeat(unit, times));
        var stored = StoredText.Key(key);
        Assert.True(Encoding.UTF8.GetByteCount(stored) <= 2000);
        Assert.Contains("\\#", stored, StringComparison.Ordinal);
        Assert.NotEqual(stored, StoredText.Key(key + "x"));
        // Throws where the cut split a surrogate pair.
        Assert.NotEmpty(new UTF8Encoding(false, throwOnInvalidBytes: true).GetBytes(stored));
    }

    [Theory]
    [InlineData(2000)]
    [InlineData(1999)]
    public void The_longest_key_that_fits_is_stored_as_it_is(int length)
    {
        var key = new string('k', length);
        Assert.Same(key, StoredText.Key(key));
    }

    [Fact]
    public void Words_lose_what_PostgreSQL_cannot_hold()
    {
        Assert.Equal("a\uFFFDb\uFFFDc😀", StoredText.Words("a\0b\uD800c😀"));
        var whole = "nothing wrong here";
        Assert.Same(whole, StoredText.Words(whole));
    }

    [Fact]
    public void Words_end_somewhere_without_a_broken_pair()
    {
        var words = StoredText.Words(new string('x', 8191) + "😀 and so on");
        Assert.Equal(8193, words.Length);
        Assert.EndsWith("\uFFFD…", words, StringComparison.Ordinal);
    }
}
