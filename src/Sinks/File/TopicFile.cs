using System.Runtime.InteropServices;
using CdcOrleans.Model.Configuration;
using Microsoft.Win32.SafeHandles;

namespace CdcOrleans.Sinks.File;

/// <summary>
/// The file of one topic. Whole lines are appended and forced to the disk. The file always ends at the end of a line: before a write,
/// everything after the last line break is cut off, which a crash or a failed write may have left. The file is open only during a write, so
/// it may be moved away in between. It is written only under the lock of its folder. The lock is a file that only writers open, so several
/// silos may share a folder, and readers do not delay a writer.
/// </summary>
internal static class TopicFile
{
    private const int Block = 64 * 1024;

    // On Unix, share modes other than "none" are shared locks, so two writers would both get the lock of the file itself.
    private const string LockName = ".cdc-lock";
    private const string TestName = ".cdc-test-";

    /// <summary>Appends whole lines. They are on the disk when this returns.</summary>
    /// <param name="path">The file.</param>
    /// <param name="lines">The lines.</param>
    /// <param name="rotation">When the file is closed and a new one begins; null for never.</param>
    /// <param name="now">The time.</param>
    /// <exception cref="IOException">
    /// The disk is full, the path does not exist any more, or the like. No part of the lines counts as written.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static void Append(string path, ReadOnlySpan<byte> lines, FileRotation? rotation, DateTimeOffset now)
    {
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        using var folderLock = System.IO.File.OpenHandle(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        if (rotation is not null && ClosedFiles.IsDue(path, lines.Length, rotation, now))
        {
            var lastWrite = System.IO.File.GetLastWriteTimeUtc(path);
            CutToLastLine(path);
            ClosedFiles.Close(path, lastWrite, rotation);
            FolderSync.Force(folder);
        }

        var isNew = !System.IO.File.Exists(path);
        using var handle = System.IO.File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        var end = EndOfLastLine(handle);
        if (end < RandomAccess.GetLength(handle))
            RandomAccess.SetLength(handle, end);
        try
        {
            RandomAccess.Write(handle, lines, end);
            RandomAccess.FlushToDisk(handle);
            if (isNew)
                FolderSync.Force(folder);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            CutOff(handle, end);
            throw;
        }
    }

    /// <summary>Looks whether a folder can be written: writes a small file to the disk and deletes it.</summary>
    /// <exception cref="IOException">It cannot.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public static void Try(string folder)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, $"{TestName}{Guid.NewGuid():N}");
        using var handle = System.IO.File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write, options: FileOptions.DeleteOnClose);
        RandomAccess.Write(handle, "test"u8, 0);
        RandomAccess.FlushToDisk(handle);
    }

    /// <summary>Whether the failure means that another process is using the file.</summary>
    public static bool IsBusy(IOException failure)
    {
        const int sharingViolation = unchecked((int)0x80070020);
        var wouldBlock = OperatingSystem.IsMacOS() ? 35 : 11;
        return failure.HResult == (OperatingSystem.IsWindows() ? sharingViolation : wouldBlock);
    }

    // The next attempt cuts the file as well. It is done here so that readers do not see an incomplete line in the meantime.
    private static void CutOff(SafeFileHandle handle, long end)
    {
        try
        {
            RandomAccess.SetLength(handle, end);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The next attempt cuts the file.
        }
    }

    private static void CutToLastLine(string path)
    {
        using var handle = System.IO.File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        CutOff(handle, EndOfLastLine(handle));
    }

    private static long EndOfLastLine(SafeFileHandle handle)
    {
        var length = RandomAccess.GetLength(handle);
        Span<byte> last = stackalloc byte[1];
        if (length == 0 || (RandomAccess.Read(handle, last, length - 1) == 1 && last[0] == (byte)'\n'))
            return length;
        var buffer = new byte[Block];
        for (var end = length; end > 0;)
        {
            var start = Math.Max(0, end - Block);
            var part = buffer.AsSpan(0, (int)(end - start));
            var read = RandomAccess.Read(handle, part, start);
            if (read < part.Length)
                throw new IOException("The file became shorter while it was read.");
            var lineBreak = part.LastIndexOf((byte)'\n');
            if (lineBreak >= 0)
                return start + lineBreak + 1;
            end = start;
        }

        return 0;
    }

    /// <summary>Makes the entry of a new file in its folder durable, on systems that need it.</summary>
    private static class FolderSync
    {
        public static void Force(string folder)
        {
            if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
                return;
            var descriptor = open(folder, 0);
            if (descriptor < 0)
                return;
            _ = fsync(descriptor);
            _ = close(descriptor);
        }

#pragma warning disable SYSLIB1054, CA2101, CA5392, IDE1006 // Three plain calls of the C library.
        [DllImport("libc", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
        private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

        [DllImport("libc")]
        private static extern int fsync(int descriptor);

        [DllImport("libc")]
        private static extern int close(int descriptor);
#pragma warning restore SYSLIB1054, CA2101, CA5392, IDE1006
    }
}
