using Xunit;
using static CdcOrleans.Unit.Capture.DecoderUnderTest;

namespace CdcOrleans.Unit.Capture;

/// <summary>Rows that take a key before its former owner leaves it: in the end, the last event of a key is that of the row that has it.</summary>
public sealed class MovedKeysTests
{
    [Fact]
    public void An_insert_takes_a_key_before_its_former_owner_is_deleted()
    {
        var log = new DecoderUnderTest { KeysMayRepeat = true };
        log.Transaction(1000, Insert("2", "new"), Delete("2", "old"));
        Assert.Equal(["c 2"], Told(log));

        // The next transaction knows nothing of this one.
        log.Transaction(2000, Delete("2", "whoever"));
        Assert.Equal(["c 2", "d 2"], Told(log));
    }

    [Fact]
    public void An_insert_takes_a_key_before_its_former_owner_moves()
    {
        var log = new DecoderUnderTest { KeysMayRepeat = true };
        log.Transaction(1000, Insert("2", "new"), Update("2", "old", "2", "old!"), Update("2", "old!", "3", "old!"));
        Assert.Equal(["c 2", "c 3"], Told(log));
    }

    [Fact]
    public void A_row_that_took_a_key_by_an_insert_is_updated_and_deleted()
    {
        var log = new DecoderUnderTest { KeysMayRepeat = true };
        log.Transaction(1000, Insert("2", "new"), Update("2", "new", "2", "new!"), Delete("2", "old"), Delete("2", "new!"));
        Assert.Equal(["c 2", "u 2", "d 2"], Told(log));
    }

    [Fact]
    public void Rows_take_keys_in_turn()
    {
        var log = new DecoderUnderTest { KeysMayRepeat = true };
        log.Transaction(
            1000, Insert("1", "x"), Update("1", "a", "2", "a"), Insert("3", "y"), Update("2", "b", "3", "b"), Update("3", "y", "4", "y"), Delete("3", "c"));
        Assert.Equal(["c 1", "c 2", "c 3", "c 3", "c 4"], Told(log));
    }

    [Fact]
    public void A_key_that_is_left_and_taken_again_is_the_last_ones()
    {
        var log = new DecoderUnderTest { KeysMayRepeat = true };
        log.Transaction(1000, Delete("2", "a"), Insert("2", "b"), Delete("2", "b"), Insert("2", "c"));
        Assert.Equal(["d 2", "c 2", "d 2", "c 2"], Told(log));
    }

    [Fact]
    public void Where_keys_cannot_repeat_nothing_is_remembered_of_inserts()
    {
        var log = new DecoderUnderTest();
        log.Transaction(1000, Insert("2", "a"), Delete("2", "as a rewrite left it"));
        Assert.Equal(["c 2", "d 2"], Told(log));
    }

    [Fact]
    public void A_row_whose_values_were_left_out_cannot_be_told_from_others()
    {
        var log = new DecoderUnderTest { KeysMayRepeat = true, HasOmitted = true };
        log.Transaction(1000, Insert("2", "a"), Delete("2", "b"));
        Assert.Equal(["c 2", "d 2"], Told(log));
    }

    private static byte[] Insert(string key, string value) => LogWriter.Insert(Orders, Row(key, value));

    private static byte[] Delete(string key, string value) => LogWriter.Delete(Orders, 'O', Row(key, value));

    private static byte[] Update(string oldKey, string oldValue, string key, string value) =>
        LogWriter.Update(Orders, 'O', Row(oldKey, oldValue), Row(key, value));

    private static byte[] Row(string key, string value) => LogWriter.Row(key, value, null, null);

    private static IEnumerable<string> Told(DecoderUnderTest log) =>
        log.Changes.Select(c => $"{(char)char.ToLowerInvariant(c.Operation.ToString()[0])} {c.Entity.Key}");
}
