using CdcOrleans.Model.Configuration;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

/// <summary>The option of tables to keep their changes.</summary>
public sealed class JournalTests
{
    private const string Tables = "tables: [\"public.*\"]";

    [Theory]
    [InlineData("{ age: 7d, size: 10GB }", 7, 10L << 30)]
    [InlineData("{ age: 3650d }", 3650, null)]
    [InlineData("{ size: 64MB }", null, 64L << 20)]
    public void A_journal_is_bounded_by_age_or_size_or_both(string journal, int? days, long? size) => Assert.Equal(
        new JournalOptions { Age = days is { } age ? TimeSpan.FromDays(age) : null, Size = size }, Read($", journal: {journal}").Journal);

    [Theory]
    [InlineData("")]
    [InlineData(", journal: ")]
    public void Without_the_option_there_is_none(string options) => Assert.Null(Read(options).Journal);

    [Theory]
    [InlineData("off")]
    [InlineData("version")]
    [InlineData("row")]
    public void It_does_not_need_stored_rows(string entities) => Assert.NotNull(Read($", entities: {entities}, journal: {{ age: 1h }}").Journal);

    [Theory]
    [InlineData("{}", "journal: is empty; write how long changes are kept, as 'age', 'size' or both, such as 'journal: { age: 7d, size: 10GB }'")]
    [InlineData("{ age: 59m }", "journal.age: '59m' is out of range; write a duration from 1h to 3650d")]
    [InlineData("{ age: 3651d }", "journal.age: '3651d' is out of range")]
    [InlineData("{ age: 0 }", "journal.age: '0' is out of range")]
    [InlineData("{ age: for ever }", "journal.age: 'for ever' is not a duration")]
    [InlineData("{ size: 63MB }", "journal.size: '63MB' is out of range; write a size from 64MB to 65536GB")]
    [InlineData("{ size: 65537GB }", "journal.size: '65537GB' is out of range")]
    [InlineData("{ age: 1d, sizes: 1GB }", "journal.sizes: unknown key 'sizes'; did you mean 'size'? Known keys: age, size")]
    [InlineData("7d", "journal: expected a mapping")]
    public void What_is_not_possible_is_refused_with_its_place(string journal, string expected) =>
        Assert.Contains(expected, Reader.RefusedWith(Tables, $"tables: [{{ table: public.orders, journal: {journal} }}]"), StringComparison.Ordinal);

    private static TableSelection Read(string options) =>
        Reader.Read(Reader.Fine.Replace(Tables, $"tables: [{{ table: public.orders{options} }}]", StringComparison.Ordinal)).Sources["shop"].Tables[0];
}
