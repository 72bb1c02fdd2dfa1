using CdcOrleans.Capture.Postgres;
using CdcOrleans.Model.Configuration;
using Npgsql;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class CaptureFailureTests
{
    [Theory]
    [InlineData(PostgresErrorCodes.LockNotAvailable, true)]
    [InlineData(PostgresErrorCodes.InsufficientPrivilege, false)]
    public void A_lock_that_others_hold_passes_and_a_missing_privilege_does_not(string state, bool transient)
    {
        var source = new SourceConfiguration { Name = "shop", Connection = "Host=h;Database=d;Username=u", Slot = "s", Publication = "p", Tables = [] };
        var failure = new CaptureFailure(source, new SourceConnection(source)).Of(new PostgresException("no", "ERROR", "ERROR", state), "watching");
        Assert.Equal(transient, failure.Transient);
        Assert.Contains(state, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(PostgresErrorCodes.UntranslatableCharacter)]
    [InlineData(PostgresErrorCodes.CharacterNotInRepertoire)]
    public void A_character_that_cannot_be_converted_is_named_as_the_reason_and_nobody_blames_the_password(string state)
    {
        var source = new SourceConfiguration { Name = "shop", Connection = "Host=h;Database=d;Username=u", Slot = "s", Publication = "p", Tables = [] };
        var failure = new CaptureFailure(source, new SourceConnection(source)).Of(
            new PostgresException("character with byte sequence 0x81 has no equivalent", "ERROR", "ERROR", state, where: "associated LSN 0/16B3748"), "streaming");
        Assert.False(failure.Transient);
        Assert.Contains("cannot be converted", failure.Message, StringComparison.Ordinal);
        Assert.Contains("associated LSN 0/16B3748", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("password", failure.Message, StringComparison.Ordinal);
    }
}
