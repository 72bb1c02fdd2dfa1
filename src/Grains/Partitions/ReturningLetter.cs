using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>A dead letter that is to be delivered again, and is not parked yet.</summary>
/// <param name="Letter">The dead letter.</param>
/// <param name="What">What is sent.</param>
internal sealed record ReturningLetter(StoredLetter Letter, RedeliverAs What)
{
    /// <summary>Completed when it is parked, with null, or when it is given back, with the reason.</summary>
    public TaskCompletionSource<LetterRefusal?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Gives it back.</summary>
    public void Refuse(string reason) => Answer.TrySetResult(new LetterRefusal(Letter.Summary.Id, reason));
}
